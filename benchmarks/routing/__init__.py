"""Routing against its peers by replay of recorded rewards and costs."""
