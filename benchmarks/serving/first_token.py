"""Asks a server that is starting for one token until it gives one. Knows HTTP and nothing of contenders."""

import http.client
import json
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from benchmarks.serving.children import Child, StartFailed
from benchmarks.serving.sse import StreamReader

_PAUSE_S = 0.1


def wait_for_first_token(
    child: Child, url: str, model: str, headers: Mapping[str, str], deadline_s: float
) -> float:
    """Seconds from the start of `child` to the first token out of `url`.

    Raises:
        StartFailed: The process has ended, or there was no token in `deadline_s` seconds.
    """
    while True:
        child.check()
        if _token_comes(url, model, headers):
            return time.monotonic() - child.started_s
        if time.monotonic() - child.started_s > deadline_s:
            raise StartFailed(f"{child.name} gave no token in {deadline_s:g} s:\n{child.tail()}")
        time.sleep(_PAUSE_S)


def _token_comes(url: str, model: str, headers: Mapping[str, str]) -> bool:
    parts = urlsplit(url)
    message = {"role": "user", "content": "chunks=4 What is 17+25?"}
    body = json.dumps({"model": model, "messages": [message], "max_tokens": 4, "stream": True})
    # Long: Ray Serve LLM answers its very first request after many seconds.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request("POST", parts.path, body, {**headers, "content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            return False
        reader = StreamReader()
        while reader.first_text_s is None and (piece := answer.read1(65536)):
            reader.feed(piece, 0.0)
        return reader.first_text_s is not None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
