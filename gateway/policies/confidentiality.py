"""Need to know: of each message, a destination gets the fields that are granted to it, and nothing else.

The lists are compiled once. What reaches a converter is a flat `Projection` of granted paths, built by
looking up those paths; nothing is ever removed from a message, so nothing can be forgotten in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.message import Body, Disclosure, Projection
from gateway.settings import ConfidentialityPolicy
from schemas.confidentiality import Confidentiality
from schemas.kinds import KINDS, published_classes

_SERVICE_CENTER: Final = "service_center"

#: What results are given for.
_OWN: Final = "What became of the party's own application"
#: (path, its steps), for each granted field.
_Paths = tuple[tuple[str, tuple[str, ...]], ...]
#: Field name to the tree inside it; None for a leaf.
_Tree = Mapping[str, "_Tree | None"]


class NeedToKnow:
    """The need-to-know lists of one version of the policy. Immutable; safe from any thread."""

    def __init__(self, policy: ConfidentialityPolicy) -> None:
        #: Recorded with each disclosure.
        self.version = policy.version
        self._granted = {
            (destination, operation): grant.fields
            for destination, operations in policy.grants.items()
            for operation, grant in operations.items()
        }
        self._purposes = {
            (destination, operation): grant.purpose
            for destination, operations in policy.grants.items()
            for operation, grant in operations.items()
        }
        self._paths = {key: _compiled(fields) for key, fields in self._granted.items()}
        self._events = {
            (receiver, kind): _tree(grant.fields)
            for receiver, kinds in policy.events.items()
            for kind, grant in kinds.items()
        }
        self._event_purposes = {
            (receiver, kind): grant.purpose
            for receiver, kinds in policy.events.items()
            for kind, grant in kinds.items()
        }
        self._event_classes = {
            (receiver, kind): _highest(kind, grant.fields)
            for receiver, kinds in policy.events.items()
            for kind, grant in kinds.items()
        }
        self._result_fields = {kind: tuple(fields) for kind, fields in policy.results.items()}
        self._results = {kind: _tree(fields) for kind, fields in policy.results.items()}

    def granted(self, destination: str, operation: str) -> tuple[str, ...]:
        """The granted paths, in the order of the list; none where there is no list."""
        return self._granted.get((destination, operation), ())

    def purpose(self, destination: str, operation: str) -> str | None:
        """What the fields are disclosed for, as the list says; None where there is no list."""
        return self._purposes.get((destination, operation))

    def project(self, operation_name: str, destination: str, body: Body) -> Projection:
        """What `destination` may see of `body` in this operation: every granted path, None if absent."""
        paths = self._paths.get((destination, operation_name), ())
        return Projection({path: _leaf(body, steps) for path, steps in paths})

    def disclosure(self, operation_name: str, destination: str, projection: Projection) -> Disclosure:
        """What a converter took of a projection: the destination is given that, and no more."""
        taken = projection.taken
        fields = tuple(
            path for path, value in projection.fields.items() if path in taken and value is not None
        )
        purpose = self._purposes.get((destination, operation_name), "")
        return Disclosure(destination, operation_name, fields, purpose, self.version)

    def result(self, center_result: Mapping[str, Any], receiver: str = _SERVICE_CENTER) -> dict[str, Any]:
        """The part of a result that such a receiver may see, in the same shape; a center unless given."""
        return _pruned(center_result, self._results.get(receiver, {}))

    def result_disclosure(self, party: str, receiver: str = _SERVICE_CENTER) -> Disclosure:
        """What a party may be given by results: all that its kind of receiver is granted."""
        return Disclosure(party, "results", self._result_fields.get(receiver, ()), _OWN, self.version)

    def event(self, receiver: str, receiver_kind: str, kind: str, body: Body) -> dict[str, Any] | None:
        """The part of an event that this party may have: by its own list, else by that of its kind of party.

        None when neither has one: then it is not told at all.
        """
        tree = self._events.get((receiver, kind), self._events.get((receiver_kind, kind)))
        return None if tree is None else _pruned(body, tree)

    def event_class(self, receiver: str, receiver_kind: str, kind: str) -> Confidentiality | None:
        """How confidential what `event` gives is: the highest class among the fields granted there.

        By the list and not by one event's fields: what is left out of an event is then not told by its class.
        None where nothing is granted.
        """
        return self._event_classes.get((receiver, kind), self._event_classes.get((receiver_kind, kind)))

    def event_disclosure(
        self, receiver: str, receiver_kind: str, kind: str, shown: Mapping[str, Any]
    ) -> Disclosure:
        """What a party is given with an event that was reduced to `shown`."""
        by_kind = self._event_purposes.get((receiver_kind, kind), "")
        purpose = self._event_purposes.get((receiver, kind), by_kind)
        return Disclosure(receiver, kind, tuple(_present(shown)), purpose, self.version)

    def receives(self, receiver: str, kind: str) -> bool:
        """Whether this party itself (not its kind) is told of such events without being addressed."""
        return (receiver, kind) in self._events


def _present(shown: Mapping[str, Any], above: str = "") -> list[str]:
    """The paths of what has a value in there, each once, in the order in which they stand."""
    return list(dict.fromkeys(_paths_in(shown, above)))


def _paths_in(shown: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, value in shown.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _paths_in(value, f"{path}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            for item in value:
                yield from _paths_in(item, f"{path}.")
        elif value is not None:
            yield path


def _highest(kind: str, fields: Iterable[str]) -> Confidentiality:
    """The highest class of these fields. One that no schema knows is held to be secret."""
    known = published_classes(kind) if kind in KINDS else {}
    classes = (known.get(path, Confidentiality.SECRET) for path in fields)
    return max(classes, key=lambda one: one.rank, default=Confidentiality.PUBLIC)


def _compiled(fields: Iterable[str]) -> _Paths:
    return tuple((path, tuple(path.split("."))) for path in fields)


def _leaf(body: Any, steps: tuple[str, ...]) -> Any:
    """The value at `steps`: a scalar or a list of scalars, else None.

    A granted name that turns out to hold a mapping grants nothing inside it.
    """
    value = body
    for step in steps:
        # The exact type is told first, here and below: this runs for each field of each call.
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value if type(value) is str or not _holds_fields(value) else None


def _holds_fields(value: Any) -> bool:
    if value is None or isinstance(value, str):
        return False
    if isinstance(value, Mapping):
        return True
    return isinstance(value, Sequence) and any(_holds_fields(item) for item in value)


def _tree(fields: Iterable[str]) -> _Tree:
    """Paths as a tree. A path beside longer ones below it (`visa`, `visa.number`) adds nothing to them."""
    tree: dict[str, Any] = {}
    for path in fields:
        *parents, leaf = path.split(".")
        branch = tree
        for parent in parents:
            branch[parent] = branch.get(parent) or {}
            branch = branch[parent]
        branch.setdefault(leaf, None)
    return tree


def _pruned(source: Mapping[str, Any], tree: _Tree) -> dict[str, Any]:
    return {name: _part(source[name], below) for name, below in tree.items() if name in source}


def _part(value: Any, tree: _Tree | None) -> Any:
    if tree is None:
        return None if _holds_fields(value) else value
    if isinstance(value, Mapping):
        return _pruned(value, tree)
    if isinstance(value, list | tuple):
        return [_pruned(item, tree) for item in value if isinstance(item, Mapping)]
    return None
