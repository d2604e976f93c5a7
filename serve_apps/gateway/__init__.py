"""The public endpoint: one ASGI application, one request path, no remote call on it."""
