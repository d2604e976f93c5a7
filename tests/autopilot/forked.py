"""Processes that begin with what these tests run already imported: that takes longer than the tests."""

import multiprocessing

MOST_KILLS = 1000
"""Workers that may end on one task where their end is what a test is about."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.autopilot.here", "tests.autopilot.forge_worker"])
