"""Bearer tokens for commands: signed with a party's own key, or its demo key in the data directory."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from cli.outcome import WrongUsage
from cli.target import Target
from gateway.web.tokens import demo_key_path, sign_token


def signing_key(target: Target, party: str, key_file: Path | None) -> Path:
    """The file with the private key of `party`. Raises `WrongUsage` when there is none."""
    if key_file is None:
        _check_known(target, party)
    path = key_file or demo_key_path(target.data_dir, party)
    if not path.is_file():
        raise WrongUsage(
            f"there is no key {path}"
            + ("" if key_file else ": it is made when `serve` first starts; or give --key-file")
        )
    return path


def _check_known(target: Target, party: str) -> None:
    known = [each.id for each in target.settings.parties]
    if party not in known:
        near = get_close_matches(party, known, 1)
        raise WrongUsage(
            "the configuration has no such party" + (f"; did you mean {near[0]}?" if near else "")
        )
    if not any(each.demo_key for each in target.settings.parties if each.id == party):
        raise WrongUsage(f"{party} has no demo key: give --key-file")


def checked_lifetime(target: Target, lifetime_s: int | None) -> int:
    """How long a token is to be good. Raises `WrongUsage` for longer than is accepted."""
    longest_s = target.settings.gateway.tokens.max_age_s
    if lifetime_s is not None and lifetime_s > longest_s:
        raise WrongUsage(f"tokens are accepted for {longest_s} s at most")
    return lifetime_s or longest_s


def fresh_token(target: Target, party: str, key: Path, lifetime_s: int) -> str:
    """A token that is good from now."""
    return sign_token(key, party, target.settings.gateway.tokens.audience, lifetime_s, datetime.now(UTC))
