"""The configuration: seven YAML files and the environment, read once and checked as a whole."""

from gateway.settings.loading import check_operations, lint, load
from gateway.settings.model import (
    ConfidentialityPolicy,
    Controls,
    Destination,
    Gateway,
    Party,
    Reference,
    Retry,
    Route,
    Routes,
    Settings,
)
from gateway.settings.profiles import demo_profile

__all__ = [
    "ConfidentialityPolicy",
    "Controls",
    "Destination",
    "Gateway",
    "Party",
    "Reference",
    "Retry",
    "Route",
    "Routes",
    "Settings",
    "check_operations",
    "demo_profile",
    "lint",
    "load",
]
