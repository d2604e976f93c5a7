"""The image's health check: whether the endpoint of this container answers, with TLS or without."""

import http.client
import os
import ssl
import sys
import urllib.request

_ANSWER_S = 2


def main() -> int:
    """Exit status: 0 if `/health` answers 200."""
    port = os.environ.get("ZORAN_SERVER__PORT", "8080")
    # The certificate is not made out to loopback, and nobody is between.
    context = ssl._create_unverified_context()  # noqa: S323
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    problem: Exception | None = None
    for scheme in ("http", "https"):
        try:
            opener.open(f"{scheme}://127.0.0.1:{port}/health", timeout=_ANSWER_S).close()
            return 0
        except (OSError, http.client.HTTPException) as error:
            problem = error
    print(problem, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
