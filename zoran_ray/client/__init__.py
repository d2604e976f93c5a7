"""A client of any OpenAI-compatible server. Knows HTTP and the chat body; nothing of our own server."""

from zoran_ray.client.answers import Answer, Delta, RemoteModel, Usage
from zoran_ray.client.asynchronous import AsyncClient
from zoran_ray.client.requests import Message
from zoran_ray.client.synchronous import Client

__all__ = ["Answer", "AsyncClient", "Client", "Delta", "Message", "RemoteModel", "Usage"]
