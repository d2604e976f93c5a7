"""Many requests from a file, answered into a file. Knows no HTTP, Ray or model: it is given `ask`."""
