"""Who works at the gateway, and in which roles: the shape of `operators` in `gateway.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

#: `viewer` sees states, times and codes. `operator` also frees messages and may reveal what is granted.
#: `auditor` asks who was given what, and reads the journal. `administrator` looks after keys and retention.
Role = Literal["viewer", "operator", "auditor", "administrator"]

#: As the names of token files are (`<data>/operators/<name>.token`).
OperatorName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
#: In no particular order, each once.
Roles = Annotated[tuple[Role, ...], Field(min_length=1, max_length=4)]
Operators = Mapping[OperatorName, Roles]

#: Two operators, because a second one confirms what the first decided.
FIRST_OPERATORS: Final[Operators] = {
    "operator-1": ("operator",),
    "operator-2": ("operator",),
    "auditor-1": ("auditor",),
    "admin-1": ("administrator",),
}
