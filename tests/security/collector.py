"""A place that traces are sent to over OTLP/HTTP: keeps every byte that came."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    """What came, heads and bodies.

    Attributes:
        url: Where to send traces to.
        heard: Everything, request after request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[bytes] = []


@contextmanager
def collector() -> Iterator[Collector]:
    """Listens on loopback until the block ends."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.heard.append(str(self.headers).encode() + body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
