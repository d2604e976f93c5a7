"""Processes that begin with what these tests run already imported: that takes longer than the tests."""

import multiprocessing

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.autopilot.here", "tests.autopilot.forge_worker"])
