"""What a sandbox job costs besides its program."""
