"""For all tests. Hypothesis's deadline for an example measures the machine, not the code."""

from hypothesis import settings

settings.register_profile("zoran", deadline=None)
settings.load_profile("zoran")
