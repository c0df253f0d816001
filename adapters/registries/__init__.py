"""Registries that vouch for licensees and agents: social insurance (GOSI), dues, IATA, banks.

They speak JSON over HTTP, in the manner of `gateway.rest.service`. They only answer questions, so every call
may be repeated. A further one is its messages, a description in `services.py`, a converter and an operation.
"""

from adapters.registries.operations import OPERATIONS
from adapters.registries.services import SERVICES

__all__ = ["OPERATIONS", "SERVICES"]
