"""Need to know: of each message, a destination gets the fields that are granted to it, and nothing else.

The lists are compiled once. What reaches a converter is a flat `Projection` of granted paths, built by
looking up those paths; nothing is ever removed from a message, so nothing can be forgotten in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from gateway.message import BatchFacts, Body, CallContext, Disclosure, Projection, Readable
from gateway.settings import ConfidentialityPolicy
from schemas.confidentiality import Confidentiality
from schemas.kinds import KINDS, published_classes

_SERVICE_CENTER: Final = "service_center"

#: Kept, of those that calls came to.
_DISCLOSURES: Final = 1024
#: What results are given for.
_OWN: Final = "What became of the party's own application"
#: What stands before the name of a batch's own field, and before that of an earlier step's.
_BATCH: Final = "batch."
_EARLIER: Final = "earlier."
#: What stands before the name of a field of a single message's state.
_MESSAGE: Final = "message."
#: Granted as results are, and shown of rejected lines only.
_REJECTED_ONLY: Final = frozenset({"row", "application"})
#: The facts of a batch as the lists name them, and as we do.
_FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "batch.batch_reference": "batch_reference",
        "batch.licensee_id": "licensee",
        "batch.agent_id": "agent",
        "batch.mission_id": "mission",
        "batch.package_id": "package",
        "batch.group_number": "group_number",
        "batch.season": "season",
    }
)
#: Those that say for whom a call is made: the header block of a call carries them.
_ON_BEHALF_OF: Final = ("batch.licensee_id", "batch.agent_id", "batch.season")
#: (path, its last step), for each granted field, by the steps that lead to where it stands.
_Paths = tuple[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], ...]
#: Field name to the tree inside it; None for a leaf.
_Tree = Mapping[str, "_Tree | None"]


@dataclass(frozen=True, slots=True)
class _Grant:
    """One list, compiled: of the body, of the batch, and of what each earlier step came to."""

    body: _Paths = ()
    facts: tuple[tuple[str, str], ...] = ()
    #: Whether licensee, agent and season may be named.
    on_behalf_of: tuple[bool, bool, bool] = (False, False, False)
    #: By step: (path, the field's name).
    earlier: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


_NOTHING: Final = _Grant()
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


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
        self._compiled = {key: _compiled(fields) for key, fields in self._granted.items()}
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
        self._shown = {kind: frozenset(fields) for kind, fields in policy.results.items()}
        #: Few differ: by operation, one for each set of fields that happened to have a value.
        self._disclosed = lru_cache(maxsize=_DISCLOSURES)(self._disclosure_of)

    def granted(self, destination: str, operation: str) -> tuple[str, ...]:
        """The granted paths, in the order of the list; none where there is no list."""
        return self._granted.get((destination, operation), ())

    def purpose(self, destination: str, operation: str) -> str | None:
        """What the fields are disclosed for, as the list says; None where there is no list."""
        return self._purposes.get((destination, operation))

    def project(
        self, operation_name: str, destination: str, body: Body, batch: BatchFacts | None = None
    ) -> Projection:
        """What `destination` may see of `body` and its batch in this operation: every granted path.

        What is absent is None. What earlier steps came to is not in it but in the context.
        """
        grant = self._compiled.get((destination, operation_name), _NOTHING)
        fields = {}
        for steps, leaves in grant.body:
            inside = _inside(body, steps)
            for path, name in leaves:
                # Texts are told at once: this runs for each field of each call.
                value = inside.get(name)
                fields[path] = value if type(value) is str else _leaf(value)
        if batch is not None:
            for path, name in grant.facts:
                fields[path] = getattr(batch, name) or None
        return Projection(fields)

    def context(self, operation_name: str, destination: str, context: CallContext) -> CallContext:
        """The context with only what `destination` may see in this operation."""
        grant = self._compiled.get((destination, operation_name), _NOTHING)
        batch, (licensee, agent, season) = context.batch, grant.on_behalf_of
        shown = BatchFacts(
            "",
            batch.licensee if licensee else "",
            batch.agent if agent else "",
            "",
            batch.season if season else 0,
        )
        earlier = {
            step: Projection({name: _scalar(context.earlier[step], name) for _, name in paths})
            for step, paths in grant.earlier.items()
            if step in context.earlier
        }
        return CallContext(
            context.message_id, context.request_reference, shown, context.partner_reference, earlier
        )

    def disclosure(
        self,
        operation_name: str,
        destination: str,
        projection: Projection,
        context: CallContext | None = None,
    ) -> Disclosure:
        """What was taken of projection and context: the destination is given that, and no more.

        For whom the call is made counts as given wherever the context says it.
        """
        values = projection.fields
        given = [path for path in projection.taken if values[path] is not None]
        if context is not None:
            grant = self._compiled.get((destination, operation_name), _NOTHING)
            given += _given_by(context, grant)
        return self._disclosed(operation_name, destination, frozenset(given))

    def _disclosure_of(self, operation_name: str, destination: str, given: frozenset[str]) -> Disclosure:
        fields = tuple(path for path in self.granted(destination, operation_name) if path in given)
        purpose = self._purposes.get((destination, operation_name), "")
        return Disclosure(destination, operation_name, fields, purpose, self.version)

    def result(self, center_result: Mapping[str, Any], receiver: str = _SERVICE_CENTER) -> dict[str, Any]:
        """The part of a result that such a receiver may see, in the same shape; a center unless given."""
        return _pruned(center_result, self._results.get(receiver, {}))

    def batch(self, status: Mapping[str, Any], receiver: str = _SERVICE_CENTER) -> dict[str, Any]:
        """The part of a batch's status that such a receiver may see: the fields granted as `batch.…`."""
        return self._named(_BATCH, status, receiver)

    def message(self, state: Mapping[str, Any], receiver: str) -> dict[str, Any]:
        """The part of a single message's state that such a receiver may see: granted as `message.…`."""
        return self._named(_MESSAGE, state, receiver)

    def rejection(self, fault: Mapping[str, Any], receiver: str = _SERVICE_CENTER) -> dict[str, Any]:
        """One fault of a rejected line, or such a line whole, with what such a receiver may see of it.

        What is wrong is granted as `errors.…`, the rest by its own name, and a column together with its row.
        A line is given back as it came, whatever stands in it; its `errors` are reduced already.
        """
        granted = self._shown.get(receiver, frozenset()) | {"errors"}
        return {
            name: value
            for name, value in fault.items()
            if name in granted or f"errors.{name}" in granted or (name == "column" and "row" in granted)
        }

    def _named(self, prefix: str, source: Mapping[str, Any], receiver: str) -> dict[str, Any]:
        granted = self._shown.get(receiver, frozenset())
        return {name: value for name, value in source.items() if prefix + name in granted}

    def result_disclosure(self, party: str, receiver: str = _SERVICE_CENTER) -> Disclosure:
        """What a party may be given by results: all that its kind of receiver is granted of a line's."""
        fields = tuple(
            path
            for path in self._result_fields.get(receiver, ())
            if not path.startswith((_BATCH, _MESSAGE)) and path not in _REJECTED_ONLY
        )
        return Disclosure(party, "results", fields, _OWN, self.version)

    def rejection_disclosure(self, party: str, receiver: str = _SERVICE_CENTER) -> Disclosure:
        """What a party may be given by its rejected lines: these lines as they came, and what is wrong."""
        granted = self._result_fields.get(receiver, ())
        fields = tuple(
            path for path in granted if path == "line" or path in _REJECTED_ONLY or path.startswith("errors.")
        )
        return Disclosure(party, "rejected_lines", fields, _OWN, self.version)

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


def reduced(body: Body, fields: Iterable[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The part of a body that these paths name, in the same shape, and the paths that have a value there."""
    shown = _pruned(body, _tree(fields))
    return shown, tuple(_present(shown))


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


def _compiled(fields: Iterable[str]) -> _Grant:
    earlier: dict[str, list[tuple[str, str]]] = {}
    body: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    facts: list[tuple[str, str]] = []
    for path in fields:
        if path.startswith(_EARLIER):
            step, _, name = path.removeprefix(_EARLIER).rpartition(".")
            earlier.setdefault(step, []).append((path, name))
        elif path.startswith(_BATCH):
            facts.extend([(path, _FACTS[path])] if path in _FACTS else [])
        else:
            *steps, name = path.split(".")
            body.setdefault(tuple(steps), []).append((path, name))
    named = {path for path, _ in facts}
    licensee, agent, season = (path in named for path in _ON_BEHALF_OF)
    return _Grant(
        tuple((steps, tuple(leaves)) for steps, leaves in body.items()),
        tuple(facts),
        (licensee, agent, season),
        MappingProxyType({step: tuple(names) for step, names in earlier.items()}),
    )


def _given_by(context: CallContext, grant: _Grant) -> list[str]:
    """The paths of what the context says, and of what was taken of earlier results."""
    batch = context.batch
    on_behalf_of = zip(_ON_BEHALF_OF, (batch.licensee, batch.agent, batch.season), strict=True)
    given = [path for path, value in on_behalf_of if value]
    for step, paths in grant.earlier.items():
        found = context.earlier.get(step)
        if isinstance(found, Projection):
            given += [path for path, name in paths if name in found.taken and found[name] is not None]
    return given


def _scalar(result: Readable, name: str) -> Any:
    try:
        value = result[name]
    except KeyError:
        return None
    return None if _holds_fields(value) else value


def _inside(body: Body, steps: tuple[str, ...]) -> Mapping[str, Any]:
    """The mapping at `steps`; an empty one where there is none."""
    found: Any = body
    for step in steps:
        found = found.get(step)
        if type(found) is not dict and not isinstance(found, Mapping):
            return _EMPTY
    return found  # type: ignore[no-any-return]


def _leaf(value: Any) -> Any:
    """A scalar or a list of scalars, else None: a granted name that holds a mapping grants nothing inside."""
    return None if _holds_fields(value) else value


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
