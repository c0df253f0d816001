"""Keys and retention in a terminal: what an administrator asks of the admin API, and how the answers look."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import CommandError, WrongUsage
from cli.public_api import checked_id
from cli.target import Target

_BUCKET: Final = re.compile(r"[a-z][a-z0-9_]{0,31}-[0-9]{4}-[0-9]{2}")
_LOOK_EVERY_S: Final = 0.3

Record = Mapping[str, Any]
Pause = Callable[[float], None]


class KeysApi:
    """In the name of one administrator. Every call raises `CommandError`."""

    def __init__(self, target: Target, operator: str) -> None:
        token = operator_token(target.data_dir, operator)
        hints = {
            401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
            403: "keys and retention are an administrator's, such as admin-1 (--operator NAME)",
            404: "`retention list` names buckets and holds",
        }
        self._http = Http(target.admin_url, lambda: token, hints)

    def keys(self, *, count: bool) -> dict[str, Any]:
        """Every key version; with `count` what each is used for."""
        return self._get("keys", {"count": "true"} if count else {})

    def rotate(self, reason: str) -> dict[str, Any]:
        """Begin a rotation."""
        return self._post("keys/rotate", {"reason": reason})

    def rotation(self) -> dict[str, Any]:
        """How the latest one stands."""
        return self._get("keys/rotation", {})

    def retention(self) -> dict[str, Any]:
        """Buckets, shreddings, holds."""
        return self._get("retention", {})

    def run(self, reason: str) -> dict[str, Any]:
        """Begin to shred what is due."""
        return self._post("retention/run", {"reason": reason})

    def hold(self, what: Record, reason: str) -> dict[str, Any]:
        """Place a legal hold."""
        return self._post("retention/holds", {**what, "reason": reason})

    def release(self, hold: int, reason: str) -> dict[str, Any]:
        """End one."""
        return self._post(f"retention/holds/{hold}/release", {"reason": reason})

    def _get(self, what: str, params: Mapping[str, str]) -> dict[str, Any]:
        return dict(self._http.get(f"/v1/admin/{what}", params).document)

    def _post(self, what: str, body: Record) -> dict[str, Any]:
        return dict(self._http.post(f"/v1/admin/{what}", body).document)


def held(
    bucket: str | None,
    passport: str | None,
    issuing_state: str | None,
    message: str | None,
    *,
    everything: bool,
) -> dict[str, Any]:
    """What the options of `retention hold` name. Raises `WrongUsage` unless it is exactly one thing."""
    if (passport is None) != (issuing_state is None):
        raise WrongUsage("--passport and --issuing-state belong together")
    if sum((bucket is not None, passport is not None, message is not None, everything)) != 1:
        raise WrongUsage("name one thing: a bucket, --message, --passport with --issuing-state, or --all")
    if bucket is not None:
        if not _BUCKET.fullmatch(bucket):
            raise WrongUsage("a bucket looks like visa-2026-11")
        return {"bucket": bucket}
    if message is not None:
        return {"message_id": checked_id(message)}
    return (
        {"passport": {"number": passport, "issuing_state": issuing_state}}
        if passport
        else {"everything": True}
    )


def follow(api: KeysApi, pause: Pause = time.sleep) -> dict[str, Any]:
    """Show a rotation's progress until it has ended. Raises `CommandError` when keys were left in use."""
    with _bar() as show:
        found = api.rotation()
        while found["state"] == "running":
            show(found["done"], found["total"])
            pause(_LOOK_EVERY_S)
            found = api.rotation()
        if found["state"] == "finished":
            show(found["total"], found["total"])
    if found.get("unreadable"):
        raise CommandError(
            f"{found['unreadable']} data keys can't be opened: their old keys are kept",
            code="unsealable",
            hint="the log names each (action rewrap)",
        )
    return found


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = output.console(errors=True)
    columns = (TextColumn("wrapped anew"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("rows", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


# --- tables -----------------------------------------------------------------------------------------------


def show_keys(found: Record) -> None:
    """A line a version."""
    rows = [
        (key["id"], key["state"], key["retired_at"], "" if key["in_use"] is None else _rows(key["in_use"]))
        for key in found["keys"]
    ]
    output.table(("key", "state", "retired", "in use"), rows)
    show_rotation(found["rotation"])


def show_rotation(found: Record) -> None:
    """In one line."""
    if found["state"] == "none":
        output.note("keys were never rotated")
    elif found["state"] == "running":
        output.note(f"rotation {found['rotation']} is under way: {found['done']} of {found['total']} rows")
    else:
        output.note(f"rotation {found['rotation']} ended at {found['finished_at']}")


def show_retention(found: Record) -> None:
    """What is kept until when, what is held, what was shredded."""
    kept = [(one["bucket"], one["due_on"], _why_kept(one), _rows(one["rows"])) for one in found["buckets"]]
    output.table(("bucket", "due on", "", "rows"), kept, title=f"Kept, on {found['today']}")
    if found["holds"]:
        rows = [
            (str(one["hold"]), one["scope"], one["bucket"] or one["message_id"], one["by"], one["at"])
            for one in found["holds"]
        ]
        output.table(("hold", "of", "", "by", "since"), rows, title="Legal holds")
    if found["shredded"]:
        gone = [
            (one["bucket"], one["due_on"], one["state"], one["keys_destroyed_at"], _rows(one["rows"]))
            for one in found["shredded"]
        ]
        output.table(("bucket", "was due on", "state", "keys destroyed", "rows"), gone, title="Shredded")


def _why_kept(one: Record) -> str:
    reasons = (
        (one["holds"], f"held ({', '.join(map(str, one['holds']))})"),
        (one["live"], f"{one['live']} not over"),
        (one["busy"], "in use"),
        (one["unconfirmed"], f"{one['unconfirmed']} not confirmed"),
        (one["due"], "due"),
    )
    return "; ".join(text for given, text in reasons if given)


def _rows(counts: Record) -> str:
    return ", ".join(f"{count} {store}" for store, count in counts.items())
