"""The configuration: seven YAML files and the environment, read once and checked as a whole."""

from gateway.settings.confidentiality import ConfidentialityPolicy
from gateway.settings.controls import Controls
from gateway.settings.destinations import Destination, Retry
from gateway.settings.gateway import Gateway
from gateway.settings.loading import check_operations, lint, load
from gateway.settings.model import Settings
from gateway.settings.parties import Party
from gateway.settings.profiles import demo_profile
from gateway.settings.reference import Reference
from gateway.settings.routes import Route, Routes

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
