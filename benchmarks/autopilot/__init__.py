"""Whether the autopilot mends what it should and merges nothing that it should not."""
