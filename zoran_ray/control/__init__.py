"""The control channel of a running server: a Unix socket in its state directory, and its record beside it.

One request for each connection, as a JSON line `{"op": …}`. Answers are JSON lines: any number of
`{"event": "progress", "stage", "detail"}`, then `{"ok": true, "result": {…}}` or
`{"ok": false, "error": {"code", "message", "param"}}`. Only the user who runs the server is listened to.
"""

from zoran_ray.control.channel import Control
from zoran_ray.control.record import (
    ProcessRecord,
    ServerRecord,
    living,
    read_record,
    record_of,
    remove_record,
    write_record,
)
from zoran_ray.control.server import ControlServer, Handler, Progress

__all__ = [
    "Control",
    "ControlServer",
    "Handler",
    "ProcessRecord",
    "Progress",
    "ServerRecord",
    "living",
    "read_record",
    "record_of",
    "remove_record",
    "write_record",
]
