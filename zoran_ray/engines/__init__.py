"""Back ends that answer requests. Knows nothing of Ray or of the public HTTP endpoint."""
