"""The one HTTP client, and what each of its library's errors means."""

from gateway.http.client import HttpClient, HttpReply
from gateway.http.errors import meaning

__all__ = ["HttpClient", "HttpReply", "meaning"]
