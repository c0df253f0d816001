"""`confidentiality.yaml`: who may know what."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.settings.access import Role
from gateway.settings.types import FieldPath, Name, Part, Text, Version


class Grant(Part):
    """What one destination may see in one operation, and what for."""

    purpose: Text
    fields: tuple[FieldPath, ...]


class ConfidentialityPolicy(Part):
    """`confidentiality.yaml`: the need-to-know lists. What is not granted is never sent."""

    version: Version
    #: By destination, then by operation.
    grants: Mapping[Name, Mapping[Name, Grant]]
    #: By kind of receiver: the fields of a result that it is shown.
    results: Mapping[Name, tuple[FieldPath, ...]]
    #: By party or kind of party, then by kind of event: what of it that receiver is told. A department
    #: receives the events that are granted to it, and no others.
    events: Mapping[Name, Mapping[Name, Grant]] = {}
    #: By role, then by kind of message: what of it an operator of that role may reveal.
    operators: Mapping[Role, Mapping[Name, Grant]] = {}
