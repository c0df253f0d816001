"""Signed messages of libraries that nobody here wrote, and ours checked by them."""

from __future__ import annotations

import os

import pytest

from tests.interop.signed import STACKS, Stack, rows


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.id)
async def test_signed_messages_are_understood_both_ways(stack: Stack) -> None:
    missing = stack.missing()
    if missing is not None and os.environ.get("GATEWAY_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{missing}: make services")
    if missing is not None:
        pytest.skip(missing)
    tried = await rows(stack)
    assert {row.soap for row in tried} == {"1.1", "1.2"}
    assert "their signature, our check" in {row.direction for row in tried}
    assert [wrong for row in tried for wrong in row.wrong] == []
