"""Strategies that answer with more than one call of a model. Knows no HTTP, no Ray and no provider."""
