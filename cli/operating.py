"""`retry` and `cancel`: some messages by their ids, or all that fit a filter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli import output
from cli.admin_api import AdminApi, Filter
from cli.outcome import CommandError, ExitCode, Unreachable, WrongUsage

_AGE: Final = re.compile("([0-9]{1,9})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def message_filter(
    *,
    state: str | None = None,
    kind: str | None = None,
    party: str | None = None,
    batch: str | None = None,
    older_than: str | None = None,
) -> Filter:
    """The filter as the admin API has it. Raises `WrongUsage` for an age that is none."""
    words = {"state": state, "kind": kind, "party": party, "batch_id": batch}
    age = {} if older_than is None else {"older_than_s": _seconds(older_than)}
    return {name: word for name, word in words.items() if word is not None} | age


def _seconds(age: str) -> int:
    found = _AGE.fullmatch(age)
    if not found or not int(found[1]):
        raise WrongUsage("--older-than is a time such as 90s, 15m, 2h or 3d")
    return int(found[1]) * _SECONDS[found[2]]


def act(
    api: AdminApi,
    action: str,
    ids: Sequence[str],
    wanted: Filter,
    *,
    reason: str | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Do `action` (retry or cancel) on what is meant, and tell what became of it.

    Raises `WrongUsage` unless ids or a filter are given, not both, and a reason with them.
    """
    if bool(ids) == bool(wanted):
        raise WrongUsage("give the ids of messages, or a filter such as --state")
    if not reason and not dry_run:
        raise WrongUsage("--reason is missing: it is kept in the audit log")
    if wanted:
        document = api.act_on_all(action, wanted, reason or "dry run", dry_run=dry_run)
    else:
        document = _act_on_each(api, action, ids, reason or "", dry_run=dry_run)
    _tell(document, action, as_json=as_json)
    return _exit_code(document)


def _act_on_each(
    api: AdminApi, action: str, ids: Sequence[str], reason: str, *, dry_run: bool
) -> dict[str, Any]:
    """One after the other; one that can't be is told, and the next goes on."""
    messages: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for message in ids:
        try:
            messages.append(api.show(message) if dry_run else api.act(action, message, reason))
        except Unreachable:
            raise
        except CommandError as error:
            failed.append({"id": message, "code": error.code, "message": error.message})
    done = {} if dry_run else {"done": len(messages)}
    return {"matched": len(ids), "dry_run": dry_run, **done, "messages": messages, "failed": failed}


def _tell(document: dict[str, Any], action: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(document)
        return
    for message in document.get("messages", []):
        output.line(f"{message['id']}  {output.plain(message['state'])}")
    for message in document.get("sample", []):
        output.line(output.plain(message))
    for failure in document.get("failed", []):
        output.note(f"{failure['id']}: {failure.get('message') or failure['code']}")
    more = ", and there are more" if document.get("more") else ""
    if document["dry_run"]:
        output.line(f"{action} would act on {document['matched']}{more}; nothing was changed")
    else:
        output.line(f"{action}: {document['done']} of {document['matched']} done{more}")


def _exit_code(document: dict[str, Any]) -> ExitCode:
    failed = len(document.get("failed", []))
    if not failed:
        return ExitCode.DONE
    return ExitCode.FAILED if failed == document["matched"] else ExitCode.PARTLY_REJECTED


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a review is to end, as it was typed."""

    issued: str | None
    refused: bool
    send_again: bool
    done: bool
    confirm: bool
    reason: str | None

    def decision(self) -> str:
        """The one way that was chosen. Raises `WrongUsage` unless it is one."""
        given = {
            "issued": self.issued is not None,
            "refused": self.refused,
            "send_again": self.send_again,
            "done": self.done,
        }
        chosen = [name for name, is_given in given.items() if is_given]
        if len(chosen) + self.confirm != 1:
            raise WrongUsage("give one of --issued NUMBER, --refused, --send-again, --done, --confirm")
        return chosen[0] if chosen else "confirm"


def resolve_message(api: AdminApi, message: str, resolution: Resolution) -> dict[str, Any]:
    """Propose or confirm; the message afterwards. Raises `WrongUsage`."""
    decision = resolution.decision()
    if decision == "confirm":
        return api.confirm(message)
    if not resolution.reason:
        raise WrongUsage("--reason is missing: it is kept in the audit log")
    return api.propose(message, decision, resolution.issued, resolution.reason)
