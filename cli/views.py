"""Answers of the gateway as people read them: tables, and one message's life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cli import output

if TYPE_CHECKING:
    from rich.text import Text

    from cli.doctor import Finding

#: More rows of faults than this help nobody on a screen; `errors` and `--json` have them all.
_MOST_SHOWN: Final = 50
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))

Record = Mapping[str, Any]


def show_rejected(faults: Iterable[Record]) -> None:
    """Each fault of each rejected line, on standard error."""
    shown = list(faults)
    columns = ("line", "row", "reference", "field", "code", "what is wrong")
    names = ("line", "row", "reference", "pointer", "code", "detail")
    rows = ([fault.get(name) for name in names] for fault in shown[:_MOST_SHOWN])
    output.table(columns, rows, errors=True)
    if len(shown) > _MOST_SHOWN:
        output.note(f"… and {len(shown) - _MOST_SHOWN} more")


def show_batch(status: Record) -> None:
    """A batch's status."""
    counts = ", ".join(f"{name} {count}" for name, count in status["counts"].items())
    names = (
        "batch_id",
        "batch_reference",
        "state",
        "revision",
        "accepted_at",
        "completed_at",
        "confirmed_at",
    )
    values = {**status, "state": output.state(status["state"])}
    output.facts([(_label(name), values.get(name)) for name in names] + [("lines", counts)])


def _label(name: str) -> str:
    return name.removesuffix("_id").removesuffix("_at").replace("_", " ")


def _state(message: Record) -> Text:
    """How it ended, once it is completed."""
    completed = message["state"] == "completed"
    return output.state(message.get("outcome") if completed else message["state"])


def show_messages(messages: Iterable[Record], now: datetime) -> None:
    """Messages, one a row."""
    columns = ("id", "kind", "party", "batch", "line", "state", "code", "age", "next")
    output.table(columns, (_message_row(message, now) for message in messages))


def _message_row(message: Record, now: datetime) -> list[object]:
    return [
        message["id"],
        message["kind"],
        message["party"],
        message.get("batch_id"),
        message.get("line"),
        _state(message),
        message.get("code"),
        relative(message.get("received_at"), now, sign=False),
        relative(message.get("next_at"), now),
    ]


def _decision(proposed: Mapping[str, Any]) -> str:
    ends_in = proposed.get("visa_number_ends_in")
    return f"{proposed['decision']} (visa number ends in {ends_in})" if ends_in else str(proposed["decision"])


def show_message(message: Record, now: datetime) -> None:
    """One message: what it is, its steps, everything that happened to it."""
    output.facts(_facts(message))
    if steps := message.get("steps"):
        columns = ("step", "status", "attempts", "not before", "code")
        output.table(columns, (_step_row(name, step, now) for name, step in steps.items()))
    output.table(("at", "after", "what", "", "code", "who"), _timeline(message))
    output.line(f"Waits for: {output.plain(message['why'])}")
    if proposed := message.get("proposed"):
        output.line(
            f"Proposed: {output.plain(_decision(proposed))} by {output.plain(proposed['by'])}, because "
            f"{output.plain(proposed['reason'])}; another operator confirms it with `resolve ID --confirm`"
        )


def _facts(message: Record) -> list[tuple[str, object]]:
    ids = ("id", "kind", "party", "licensee", "agent", "mission", "batch_id", "line", "parent_id")
    dues = ("cancel_requested_at", "deadline_at", "open_step", "send_by", "lease_until")
    facts = [(_label(name) or "id", message.get(name)) for name in ids]
    return [*facts, ("state", _state(message)), *((_label(name), message.get(name)) for name in dues)]


def _step_row(name: str, step: Record, now: datetime) -> list[object]:
    later = relative(step.get("not_before"), now)
    return [name, output.state(step["status"]), step.get("attempts"), later, step.get("code")]


def _timeline(message: Record) -> list[list[object]]:
    """Times count from the moment the message was received."""
    start = _moment(message.get("received_at"))
    return [_event_row(event, start) for event in message.get("timeline", [])]


def _event_row(event: Record, start: datetime | None) -> list[object]:
    at = _moment(event.get("at"))
    after = duration((at - start).total_seconds()) if at and start else ""
    if event.get("to"):
        detail = output.state(event["to"])
    else:
        took = f" in {duration(event['duration_s'])}" if event.get("duration_s") is not None else ""
        words = (event.get("step"), event.get("action"), event.get("outcome"))
        detail = output.cell(" ".join(str(word) for word in words if word) + took)
    return [event.get("at"), f"+{after}", event.get("what"), detail, event.get("code"), event.get("actor")]


def show_findings(findings: Iterable[Finding]) -> None:
    """What `doctor` found."""
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    rows = ((output.cell(f.level, styles[f.level]), f.about, f.text, f.advice) for f in findings)
    output.table(("", "about", "found", "what to do"), rows)


def relative(at: str | None, now: datetime, *, sign: bool = True) -> str:
    """`in 12 s`, `3 m ago`; without `sign` only how long."""
    moment = _moment(at)
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    if not sign:
        return duration(abs(seconds))
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def duration(seconds: float) -> str:
    """Two figures at most: `40 ms`, `12 s`, `3 m 20 s`, `2 d 4 h`."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for (size, name), (smaller, smaller_name) in zip(_UNITS, (*_UNITS[1:], (1, "s")), strict=True):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
