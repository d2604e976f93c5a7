"""Lays out the root file system of the sandbox's image in a folder; `sandbox.Dockerfile` runs it."""

import sys
import tarfile
import tempfile
from pathlib import Path

from zoran_ray.sandbox.image import PACKAGES
from zoran_ray.sandbox.image_archive import write_archive
from zoran_ray.sandbox.image_files import gather


def main(root: Path) -> None:
    """Write what `zoran sandbox build` would load, unpacked, below `root`."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        write_archive(gather(PACKAGES), archive)
        with tarfile.open(archive) as image:
            image.extract("layer.tar", folder, filter="data")
        with tarfile.open(Path(folder, "layer.tar")) as layer:
            # Ours, and /tmp in it is for everybody: no filter may change a mode.
            layer.extractall(root, filter="fully_trusted")  # noqa: S202


if __name__ == "__main__":
    main(Path(sys.argv[1]))
