"""Measures of the autopilot, and what stands in for the services it talks to."""
