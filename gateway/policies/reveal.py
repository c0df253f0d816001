"""What of a message an operator may reveal: the `operators` lists of `confidentiality.yaml`, default deny."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.message import Body, Disclosure
from gateway.policies.confidentiality import reduced
from gateway.settings import ConfidentialityPolicy
from gateway.settings.access import Role
from gateway.settings.confidentiality import Grant

_OPERATION: Final = "reveal"


@dataclass(frozen=True, slots=True)
class Revealed:
    """What an operator is shown, and what has to be noted of it."""

    shown: Mapping[str, Any]
    disclosure: Disclosure


def granted(policy: ConfidentialityPolicy, roles: Sequence[Role], kind: str) -> Grant | None:
    """The list that an operator reveals such a message by: that of the first role that has one."""
    found = (policy.operators.get(role, {}).get(kind) for role in roles)
    return next((grant for grant in found if grant is not None), None)


def reveal(grant: Grant, operator: str, rule: str, body: Body, fields: Collection[str] | None) -> Revealed:
    """The granted part of `body`; of that only `fields`, where some are asked for."""
    wanted = [path for path in grant.fields if fields is None or path in fields]
    shown, present = reduced(body, wanted)
    return Revealed(shown, Disclosure(receiver(operator), _OPERATION, present, grant.purpose, rule))


def receiver(operator: str) -> str:
    """How an operator is called where receivers are named."""
    return f"operator:{operator}"
