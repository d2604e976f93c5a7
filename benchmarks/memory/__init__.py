"""Benchmarks of memory, privacy, journal and codecs; `make bench-memory`."""
