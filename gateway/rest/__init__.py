"""Partners that speak JSON over HTTP: their contract as data, the client, a server for stand-ins."""

from gateway.rest.partner import Endpoint, RestPartner
from gateway.rest.service import Message, RestAction, RestService, ServiceError

__all__ = ["Endpoint", "Message", "RestAction", "RestPartner", "RestService", "ServiceError"]
