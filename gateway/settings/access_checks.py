"""Whether the `operators` lists of `confidentiality.yaml` name what there is, and nothing above a role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from gateway.settings.access import Role
from gateway.settings.document import Fault
from gateway.settings.draft import Draft
from gateway.settings.validation import suggestion
from schemas.confidentiality import Confidentiality

#: The highest class that an operator of a role may reveal, whatever a list says. Viewers and administrators
#: reveal nothing of a person; secret fields are for auditors alone.
CLEARANCES: Final[Mapping[Role, Confidentiality]] = MappingProxyType(
    {
        "viewer": Confidentiality.PUBLIC,
        "operator": Confidentiality.RESTRICTED,
        "auditor": Confidentiality.SECRET,
        "administrator": Confidentiality.PUBLIC,
    }
)


def operator_faults(draft: Draft, classes: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    """Each unknown kind or field, and each field whose class is above the role's clearance."""
    lists = draft.confidentiality.operators if draft.confidentiality else {}
    for role, kinds in lists.items():
        for kind, grant in kinds.items():
            loc = ("operators", role, kind)
            if kind not in classes:
                text = f"unknown kind of message {kind!r}{suggestion(kind, classes)}"
                yield draft.key_fault("confidentiality", loc, text)
                continue
            for n, path in enumerate(grant.fields):
                if wrong := _fault(role, path, classes[kind]):
                    yield draft.fault("confidentiality", (*loc, "fields", n), wrong)


def _fault(role: Role, path: str, fields: Mapping[str, str]) -> str | None:
    if path not in fields:
        return f"unknown field {path!r}{suggestion(path, fields)}"
    found, cleared = Confidentiality(fields[path]), CLEARANCES[role]
    if cleared.permits(found):
        return None
    return f"field {path!r} is {found}, the role {role!r} is cleared for {cleared}"
