"""SOAP stacks that nobody here wrote, in both directions. Each is skipped where it is not installed."""

from __future__ import annotations

import os

import pytest

from tests.interop.calls import VERSIONS, told
from tests.interop.stacks import STACKS, Stack
from tests.interop.trying import client_rows, server_rows


def require(stack: Stack) -> None:
    """Skip with the reason, or fail where everything has to be installed."""
    missing = stack.missing()
    if missing is None:
        return
    if os.environ.get("GATEWAY_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{missing}: make services")
    pytest.skip(missing)


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.id)
async def test_their_client_can_use_every_operation_of_ours_over_both_versions(stack: Stack) -> None:
    require(stack)
    rows = await client_rows(stack)
    assert {(row.operation, row.soap) for row in rows} == {
        (each.operation, version) for version in VERSIONS for each in told(version)
    }
    assert [wrong for row in rows for wrong in row.wrong] == []


@pytest.mark.parametrize("stack", [each for each in STACKS if each.server], ids=lambda stack: stack.id)
async def test_our_client_can_use_their_server_with_the_partners_contracts(stack: Stack) -> None:
    require(stack)
    rows = await server_rows(stack)
    assert [(row.operation, row.soap) for row in rows] == [("CheckClearance", "1.1"), ("IssueVisa", "1.2")]
    assert [wrong for row in rows for wrong in row.wrong] == []
