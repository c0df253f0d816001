from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.settings import load
from gateway.web.authentication import PartyKeys, verify
from gateway.web.tokens import ensure_demo_keys, write_secret
from tests.cli.command import Command, private_key


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with the demo keys."""
    directory = tmp_path / "data"
    ensure_demo_keys(load(None, {}), directory)
    return directory


@pytest.mark.parametrize("party", ["sc-01", "licensing", "nic"])
def test_a_token_proves_the_party_to_the_gateway(run: Command, data: Path, party: str) -> None:
    settings = load(None, {})
    token = run("token", "--party", party).out.strip()
    credential = verify(token, PartyKeys.load(settings, data), settings, datetime.now(UTC))
    assert credential.party_id == party
    assert credential.jti


def test_two_tokens_are_never_the_same(run: Command, data: Path) -> None:
    assert run("token", "--party", "sc-01").out != run("token", "--party", "sc-01").out


def test_a_token_lives_as_long_as_it_is_told(run: Command, data: Path) -> None:
    settings = load(None, {})
    told = run("token", "--party", "sc-01", "--lifetime", "60", "--json").document
    assert told["expires_in_s"] == 60
    keys = PartyKeys.load(settings, data)
    ends_in_s = verify(told["token"], keys, settings, datetime.now(UTC)).ends_at / 1e6
    assert ends_in_s - datetime.now(UTC).timestamp() < 60 + settings.gateway.tokens.leeway_s + 1


def test_a_party_with_a_key_of_its_own_needs_no_configuration_entry(run: Command, tmp_path: Path) -> None:
    write_secret(tmp_path / "own.pem", private_key())
    ended = run("token", "--party", "somebody", "--key-file", tmp_path / "own.pem")
    assert ended.code == 0
    assert ended.out.count(".") == 2
