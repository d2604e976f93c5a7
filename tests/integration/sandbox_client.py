"""A client that is about to be killed: runs one long job and never ends by itself."""

import sys

from zoran_ray.sandbox import Backend, Job, JobRequest, Limits

deployment, image, host = sys.argv[1:4]
Job(
    Backend(deployment, image, host or None),
    JobRequest({}, ("sleep", "600"), 600.0, Limits(timeout_s=600.0)),
).run()
