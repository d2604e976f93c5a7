"""Adapters of other people's models, one provider's dialect each. Knows nothing of routing or retries."""
