"""Every metric, label and span name there is, in one place. Knows nothing but names.

Ours begin with `zoran_`. Those of OpenTelemetry's GenAI conventions begin with `gen_ai.` and are
still marked "development", which is why nothing else spells them out. Labels are bounded: a value
outside its list becomes `other`, and nothing is ever labelled by user, key or session.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (metrics, spans, histogram buckets)
"""

from http import HTTPStatus
from typing import Final, get_args

from zoran_ray.errors import ZoranError
from zoran_ray.settings import PiiKind

OTHER: Final = "other"


def _codes(kind: type[ZoranError]) -> set[str]:
    return {kind.code}.union(*map(_codes, kind.__subclasses__()))


# Metrics of one gateway, as they appear in the text exposition.
REQUESTS: Final = "zoran_requests_total"
REQUEST_DURATION: Final = "zoran_request_duration_seconds"
TTFT: Final = "zoran_time_to_first_token_seconds"
TPOT: Final = "zoran_time_per_output_token_seconds"
OVERHEAD: Final = "zoran_overhead_seconds"
TOKENS: Final = "zoran_tokens_total"
INFLIGHT: Final = "zoran_requests_inflight"
QUEUE_WAITING: Final = "zoran_queue_waiting"
REJECTED: Final = "zoran_rejected_total"
RELAY_ERRORS: Final = "zoran_relay_errors_total"
REPLICA_RETRIES: Final = "zoran_replica_retries_total"
CLIENT_DISCONNECTS: Final = "zoran_client_disconnects_total"
RELAYED_BYTES: Final = "zoran_relayed_bytes_total"
REPLICAS: Final = "zoran_replicas"
MIN_REPLICAS: Final = "zoran_min_replicas"
COST: Final = "zoran_cost_usd_total"
ROUTED: Final = "zoran_routed_total"
MIX: Final = "zoran_route_mix"
ROLLBACKS: Final = "zoran_route_rollbacks"
MAP_ENTRIES: Final = "zoran_map_entries"
PRIVACY_MASKED: Final = "zoran_privacy_masked_total"
MEMORY_LOST: Final = "zoran_memory_writes_lost_total"
# Figures of the journal, the memory, batches and routing: each of one actor's, see `FIGURES`.
JOURNAL_ENTRIES: Final = "zoran_journal_entries_total"
JOURNAL_WAITING: Final = "zoran_journal_waiting"
JOURNAL_FAILURES: Final = "zoran_journal_failures_total"
DISK_FREE: Final = "zoran_state_disk_free_bytes"
DISK_SIZE: Final = "zoran_state_disk_size_bytes"
SHARD_UP: Final = "zoran_memory_shard_up"
SHARD_UNSURE: Final = "zoran_memory_shard_unsure"
MEMORY_RECORDS: Final = "zoran_memory_records"
MEMORY_BYTES: Final = "zoran_memory_bytes"
MEMORY_LOG: Final = "zoran_memory_log_bytes"
MEMORY_DROPPED: Final = "zoran_memory_dropped_records"
BATCHES: Final = "zoran_batches"
BATCH_LINES: Final = "zoran_batch_lines"
STABILITY: Final = "zoran_route_stability"
STABILITY_LEAST: Final = "zoran_route_stability_threshold"
ROUTE_BEHIND: Final = "zoran_route_behind_reports"
ROUTE_LESSONS: Final = "zoran_route_lessons_total"
ROUTE_QUALITY: Final = "zoran_route_quality"
ROUTE_SHARE: Final = "zoran_route_share"
ROUTE_ALARMS: Final = "zoran_route_drift_alarms_total"
# Of the process that works on tasks.
TASKS: Final = "zoran_tasks"
TASKS_ENDED: Final = "zoran_tasks_ended_total"
TASK_ATTEMPTS: Final = "zoran_task_attempts_total"
TASK_LAPSES: Final = "zoran_task_lapses_total"
TASK_JOBS: Final = "zoran_task_jobs_total"
TASK_JOB_DURATION: Final = "zoran_task_job_duration_seconds"
# Added where expositions are merged.
PART_UP: Final = "zoran_exposition_part_up"

METRICS: Final = frozenset(
    {
        REQUESTS,
        REQUEST_DURATION,
        TTFT,
        TPOT,
        OVERHEAD,
        TOKENS,
        INFLIGHT,
        QUEUE_WAITING,
        REJECTED,
        RELAY_ERRORS,
        REPLICA_RETRIES,
        CLIENT_DISCONNECTS,
        RELAYED_BYTES,
        REPLICAS,
        MIN_REPLICAS,
        COST,
        ROUTED,
        MIX,
        ROLLBACKS,
        MAP_ENTRIES,
        PRIVACY_MASKED,
        MEMORY_LOST,
        PART_UP,
    }
)
FIGURES: Final = {
    JOURNAL_ENTRIES: "Entries of the journal.",
    JOURNAL_WAITING: "Events that wait for the journal's disk.",
    JOURNAL_FAILURES: "Calls that the journal refused because its files or its disk failed.",
    DISK_FREE: "Bytes free on the disk of journal, keys, batches and tasks.",
    DISK_SIZE: "Bytes of that disk.",
    SHARD_UP: "Whether a shard of the memory answers.",
    SHARD_UNSURE: "Shards that this one has to be compared with before it answers for what they hold.",
    MEMORY_RECORDS: "Records of a shard; each is counted at all of its replicas.",
    MEMORY_BYTES: "Memory of a shard, about.",
    MEMORY_LOG: "Log of a shard since its last compaction.",
    MEMORY_DROPPED: "Records that a compaction would remove from the disk.",
    BATCHES: "Batches, by status.",
    BATCH_LINES: "Lines of all batches: waiting, completed, failed.",
    STABILITY: "Stability of routing (the worst of its parts), and its parts.",
    STABILITY_LEAST: "Stability below which the guard rolls back.",
    ROUTE_BEHIND: "Reports that are written down and not learned yet.",
    ROUTE_LESSONS: "What became of reports.",
    ROUTE_QUALITY: "Score expected of a model's answer to the typical prompt.",
    ROUTE_SHARE: "Probability that a model is chosen for the typical prompt.",
    ROUTE_ALARMS: "Times a model was seen to have become better or worse.",
}
"""What each figure means."""
GEN_AI_DURATION: Final = "gen_ai_server_request_duration_seconds"
GEN_AI_TTFT: Final = "gen_ai_server_time_to_first_token_seconds"
GEN_AI_TPOT: Final = "gen_ai_server_time_per_output_token_seconds"
GEN_AI_METRICS: Final = frozenset({GEN_AI_DURATION, GEN_AI_TTFT, GEN_AI_TPOT})
TASK_METRICS: Final = frozenset(
    {TASKS, TASKS_ENDED, TASK_ATTEMPTS, TASK_LAPSES, TASK_JOBS, TASK_JOB_DURATION}
)

# Labels.
ENDPOINT: Final = "endpoint"
MODEL: Final = "model"
CODE: Final = "code"
CLASS: Final = "class"
KIND: Final = "kind"
REASON: Final = "reason"
STATE: Final = "state"
MAP: Final = "map"
TASK: Final = "task"
GATEWAY: Final = "gateway"
REPLICA: Final = "replica"
ACTOR: Final = "actor"
SHARD: Final = "shard"
PART: Final = "part"
RAY_NODE: Final = "ray_node"
MODE: Final = "mode"
GEN_AI_MODEL: Final = "gen_ai_request_model"
GEN_AI_OPERATION: Final = "gen_ai_operation_name"
OUTCOME: Final = "outcome"

ENDPOINTS: Final = frozenset(
    {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/responses",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/files",
        "/v1/batches",
        "/v1/feedback",
        "/v1/route/explain",
        "/v1/routing/state",
        "/v1/privacy/mask",
        "/v1/privacy/unmask",
        "/tokenize",
        "/detokenize",
        "/health",
        "/ready",
        "/metrics",
    }
)
STATUS_CODES: Final = frozenset(str(status.value) for status in HTTPStatus) | {"499"}
"""499 is nginx's word for a client that left before its answer; there is no standard one."""
ERROR_CODES: Final = frozenset(_codes(ZoranError))
"""Why a request was refused or its relay failed."""
TOKEN_KINDS: Final = ("input", "output", "cached")
PII_KINDS: Final = frozenset(get_args(PiiKind))
"""What is masked; what plug-ins find is `other`."""
ROUTE_REASONS: Final = frozenset({"only arm", "best value", "explore", "stays", "nothing learned"})
"""Why the router chose a model."""
LOST_REASONS: Final = ("full", "failed")
"""Why something said in a conversation was not written to the memory."""
REPLICA_STATES: Final = ("ready", "draining")
LINE_STATES: Final = ("waiting", "completed", "failed")
STABILITY_PARTS: Final = ("whole", "coherence", "reward", "service")
LESSON_KINDS: Final = ("answered", "scored", "unheard", "of_other_arms", "unfit", "skipped")
"""What became of a report: learned as an answer or a score, or why not."""
JOB_OUTCOMES: Final = ("exited", "timed_out", "killed", "not_run")
"""How a sandbox's job for a task ended: by itself, at its deadline, at another bound, or it never ran."""

# Histogram buckets in seconds. Source: OpenTelemetry GenAI metrics, recommended boundaries.
DURATION_BUCKETS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
FIRST_TOKEN_BUCKETS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN_BUCKETS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
"""The recommended ones and three below them: a small model makes a token in 2 ms."""
JOB_BUCKETS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
OVERHEAD_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.064, 0.25, 1.0)

# Attributes of spans (a span is named by its route): an allow-list, so that content cannot slip into one.
OPERATION_NAME: Final = "gen_ai.operation.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
SERVER_TTFT: Final = "gen_ai.server.time_to_first_token"
SERVER_DURATION: Final = "gen_ai.server.request.duration"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
ERROR_TYPE: Final = "error.type"
REQUEST_ID: Final = "zoran.request_id"
REPLICA_ID: Final = "zoran.replica_id"

SPAN_ATTRIBUTES: Final = frozenset(
    {
        OPERATION_NAME,
        REQUEST_MODEL,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        CACHED_TOKENS,
        SERVER_TTFT,
        SERVER_DURATION,
        HTTP_ROUTE,
        HTTP_STATUS,
        ERROR_TYPE,
        REQUEST_ID,
        REPLICA_ID,
    }
)

OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
"""`gen_ai.operation.name` of each endpoint that has one."""
