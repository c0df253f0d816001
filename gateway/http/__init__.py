"""The one HTTP client, and what each error on its way means."""

from gateway.http.client import HttpClient
from gateway.http.connection import HttpReply
from gateway.http.errors import meaning

__all__ = ["HttpClient", "HttpReply", "meaning"]
