"""With a promise removed, the same row must see it: a table that can't fail shows nothing."""

from __future__ import annotations

import os

import pytest

from tests.required import required
from tests.survival import table
from tests.survival.home import SERVERS, SQLITE
from tests.survival.table import SUITE, Ground, missing

pytestmark = pytest.mark.processes

#: One of a family is enough every time; the others when asked for.
_LONG = pytest.mark.skipif(
    not os.environ.get("GATEWAY_SURVIVE_LONG"),
    reason="set GATEWAY_SURVIVE_LONG=1 to try every broken gateway",
)


@pytest.mark.parametrize("mutant", ["no_intent", pytest.param("repeat_after_crash", marks=_LONG)])
def test_without_its_intent_a_killed_gateway_issues_twice(ground: Ground, mutant: str) -> None:
    row = table.kills(
        ground, SQLITE, SUITE, None, partner="can_be_asked", mutant=mutant, points=("before_settle",), count=2
    )
    assert row.issued_twice


def test_an_answer_before_its_commit_is_lost_with_the_process(ground: Ground) -> None:
    row = table.kills(
        ground,
        SQLITE,
        SUITE,
        None,
        mutant="answered_before_commit",
        points=("before_accept_commit",),
        count=3,
    )
    assert row.lost


def test_a_process_that_wakes_late_and_sends_all_the_same_issues_twice(ground: Ground) -> None:
    _needs("frozen", SERVERS)
    # Whether it wakes before the others have asked twice is a matter of luck.
    assert any(
        table.frozen(ground, SERVERS, SUITE, None, mutant="late_send", points=("after_intent",)).issued_twice
        for _ in range(3)
    )


@pytest.mark.parametrize("mutant", ["confirm_ignored", pytest.param("marked_before_confirm", marks=_LONG)])
def test_an_event_that_is_believed_to_be_told_too_early_is_lost_on_its_way(
    ground: Ground, mutant: str
) -> None:
    _needs("broker", SQLITE)
    assert table.broker(ground, SQLITE, SUITE, None, mutant=mutant, brief=True).lost


@_LONG
def test_a_command_that_is_acknowledged_too_early_is_lost_with_the_process(ground: Ground) -> None:
    _needs("broker", SQLITE)
    # A kill between the acknowledgement and the commit is a matter of luck.
    mutant = "acknowledged_before_taken"
    assert any(table.broker(ground, SQLITE, SUITE, None, mutant=mutant).lost for _ in range(4))


def test_a_lost_commit_that_is_taken_for_done_loses_what_was_acknowledged(ground: Ground) -> None:
    _needs("database", SERVERS)
    row = table.database(ground, SERVERS, SUITE, None, mutant="commit_taken_for_done", cuts_each=24, lines=1)
    assert row.lost


def test_what_the_ledger_refused_and_nobody_tries_again_is_not_final_soon(ground: Ground) -> None:
    _needs("disk-full", SQLITE)
    row = table.disk_full(ground, SQLITE, SUITE, None, mutant="refused_once_for_all")
    assert "what was accepted was not final within 5 s" in row.faults()


def test_a_partner_that_is_down_and_called_all_the_same_is_called_too_often(ground: Ground) -> None:
    row = table.partner_fault(
        ground, SQLITE, SUITE, None, victim="foreign-affairs", weather="down", mutant="circuit_never_opens"
    )
    assert any("calls during the outage" in fault for fault in row.faults())


def test_by_a_clock_that_jumps_lines_are_parked_for_an_hour(ground: Ground) -> None:
    _needs("clock", SERVERS)
    assert table.jumps(ground, SERVERS, SUITE, None, mutant="times_of_the_process").lost


@_LONG
def test_an_upgrade_under_statements_that_know_no_new_column_is_noticed(ground: Ground) -> None:
    _needs("rolling", SERVERS)
    row = table.rolling(ground, SERVERS, SUITE, None, mutant="statements_know_no_new_column")
    assert any("answers of 5xx" in fault for fault in row.faults())


def test_a_restored_ledger_that_is_served_as_if_it_were_whole_issues_twice(ground: Ground) -> None:
    row = table.restore(ground, SQLITE, SUITE, None, partner="can_be_asked", mutant="served_as_if_whole")
    assert row.issued_twice


def _needs(name: str, engine: str) -> None:
    if lacking := missing(name, engine):
        required(lacking, None)
