"""Files and batches as OpenAI's clients read them, lists of them, and what lists are asked for.

Source: OpenAI's API description, schemas `OpenAIFile`, `Batch`, `ListFilesResponse`, `ListBatchesResponse`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from zoran_ray.access import usd
from zoran_ray.batch.job import FileInfo, Job
from zoran_ray.errors import InvalidRequest

Row = dict[str, Any]


def file_row(info: FileInfo) -> Row:
    """One file."""
    return {
        "id": info.id,
        "object": "file",
        "bytes": info.bytes,
        "created_at": info.created,
        "expires_at": info.expires,
        "filename": info.filename,
        "purpose": info.purpose,
        "status": "processed",
    }


def batch_row(job: Job) -> Row:
    """One batch; `zoran.cost_usd` is ours."""
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": job.model or None,
        "errors": _errors(job),
        "input_file_id": job.input_file_id,
        "completion_window": job.window,
        "status": job.status,
        # While they are being written, nobody can read them.
        "output_file_id": job.output_file_id or None if job.finished else None,
        "error_file_id": job.error_file_id or None if job.finished else None,
        "created_at": job.created,
        "in_progress_at": job.in_progress or None,
        "expires_at": job.expires,
        "finalizing_at": job.finalizing or None,
        "completed_at": job.completed_at or None,
        "failed_at": job.failed_at or None,
        "expired_at": job.expired_at or None,
        "cancelling_at": job.cancelling or None,
        "cancelled_at": job.cancelled_at or None,
        "request_counts": {"total": job.total, "completed": job.completed, "failed": job.failed},
        "usage": _usage(job),
        "metadata": job.metadata or None,
        "zoran": {"cost_usd": usd(job.nano_usd)},
    }


def list_row(rows: Sequence[Row], more: bool) -> Row:
    """One page."""
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {}
    return {"object": "list", "data": list(rows), "first_id": "", "last_id": "", **ends, "has_more": more}


def page_limit(query: Mapping[str, str], default: int, most: int) -> int:
    """How many rows are asked for. Raises: InvalidRequest."""
    told = query.get("limit", str(default))
    if told.isascii() and told.isdigit() and len(told) < 9 and 1 <= int(told) <= most:
        return int(told)
    raise InvalidRequest(f"'limit' must be a whole number from 1 to {most}.", param="limit")


def _errors(job: Job) -> Row | None:
    if not job.faults:
        return None
    rows = [
        {"code": fault.code, "line": fault.line or None, "message": fault.message, "param": None}
        for fault in job.faults
    ]
    return {"object": "list", "data": rows}


def _usage(job: Job) -> Row:
    return {
        "input_tokens": job.prompt_tokens,
        "input_tokens_details": {"cached_tokens": job.cached_tokens},
        "output_tokens": job.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": job.prompt_tokens + job.completion_tokens,
    }
