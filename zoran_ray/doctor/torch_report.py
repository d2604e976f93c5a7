"""What torch says of itself and its GPUs.

Asked in a fresh interpreter, because importing torch takes seconds and can crash.
"""

import json
import subprocess
import sys
from dataclasses import dataclass

IMPORT_TIMEOUT_S = 90.0

_QUESTION = """
import json, torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        devices.append(f"{torch.cuda.get_device_name(index)}, {free >> 20} of {total >> 20} MiB free")
error = ""
try:
    import torchvision
except ImportError as missing:
    error = "" if missing.name == "torchvision" else str(missing)
except Exception as broken:
    error = str(broken)
print(json.dumps({"version": torch.__version__, "devices": devices, "torchvision_error": error}))
"""


@dataclass(frozen=True, slots=True)
class TorchReport:
    """Torch as installed.

    Attributes:
        version: Empty when it cannot be imported.
        error: Why not.
        devices: CUDA devices with their memory, for people.
        torchvision_error: Why an installed torchvision cannot be imported beside it.
    """

    version: str = ""
    error: str = ""
    devices: tuple[str, ...] = ()
    torchvision_error: str = ""


def ask_torch() -> TorchReport:
    """Import torch in a child process and report."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TorchReport(error=f"importing it took longer than {IMPORT_TIMEOUT_S:g} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return TorchReport(
            error=lines[-1] if lines else f"importing it ended with status {done.returncode}"
        )
    said = json.loads(done.stdout.splitlines()[-1])
    return TorchReport(said["version"], "", tuple(said["devices"]), said["torchvision_error"])
