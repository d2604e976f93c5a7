"""A process that is killed in the middle of a batch: no line is lost, and none stands twice."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.batch.conftest import parsed

ROOT = Path(__file__).parents[2]
COUNT = 400


def child(folder):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("office_child.py")), str(folder), str(COUNT)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_and_start_again_until_it_is_done(tmp_path, seed):
    rng, kills, told = random.Random(seed), 0, ""
    while not told.startswith("done"):
        with child(tmp_path) as process:
            assert process.stdout.readline() == "works\n"
            if kills < 4:
                time.sleep(rng.random() * 0.25)
                process.kill()
                kills += 1
            told = process.stdout.readline()
    _, status, output, errors = told.split()
    assert status == "completed"
    folder = tmp_path / "batch" / "files"
    good, bad = parsed((folder / output).read_bytes()), parsed((folder / errors).read_bytes())
    assert sorted(each["custom_id"] for each in good) == sorted(f"c{n}" for n in range(COUNT))
    assert [each["error"]["code"] for each in bad] == ["invalid_json"]
    assert len(list(folder.iterdir())) == 3
