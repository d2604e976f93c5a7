"""Runs programs that nobody trusts, each in a hardened Docker container of its own. Knows no Ray.

Fail closed: without a daemon that can hold a job in, nothing is run (`SandboxUnavailable`).
"""

from zoran_ray.sandbox.configured import backend_of
from zoran_ray.sandbox.daemon import Backend
from zoran_ray.sandbox.job import Job, JobRequest, JobResult
from zoran_ray.sandbox.limits import Limits
from zoran_ray.sandbox.reaper import reap
from zoran_ray.sandbox.runner import Sandbox

__all__ = ["Backend", "Job", "JobRequest", "JobResult", "Limits", "Sandbox", "backend_of", "reap"]
