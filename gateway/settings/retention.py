"""How long what was recorded stays readable: the shape of `retention` in `gateway.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_KindName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
_Months = Annotated[int, Field(ge=1, le=600)]

_BUCKET: Final = re.compile(r"(?P<rule>[a-z][a-z0-9_]*)-(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])")
#: The rule of kinds that no other rule names.
OTHERS: Final = "others"


class RetentionRule(BaseModel):
    """One rule: of these kinds, everything recorded in a month becomes unreadable together."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    #: Counted from the end of the month in which it was recorded.
    keep_months: _Months
    #: Kinds of message, and `operator.note`, `photo`. Only the rule `others` may leave it out.
    kinds: Annotated[tuple[_KindName, ...], Field(strict=False)] = ()
    purpose: Annotated[str, Field(min_length=1, max_length=200)]


_DEFAULT: Final = {
    "visa": RetentionRule(
        keep_months=24,
        kinds=("visa.batch", "visa.application", "visa.cancellation", "photo"),
        purpose="Visas of two seasons, for the centers' accounts and for complaints",
    ),
    "operators": RetentionRule(
        keep_months=120, kinds=("operator.note",), purpose="Why operators did what they did"
    ),
    OTHERS: RetentionRule(keep_months=60, purpose="Movements, contracts, cases and what was decided on them"),
}


class Retention(BaseModel):
    """The rules by name. Each kind stands under one rule; what none names is kept under `others`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    #: Lines whose center has not confirmed them are kept so much longer, at the most.
    unconfirmed_months: _Months = 6
    #: A key that wraps nothing any more is destroyed after so long: what was read before may still name it.
    keep_retired_days: Annotated[int, Field(ge=1, le=3650)] = 30
    rules: Mapping[_RuleName, RetentionRule] = _DEFAULT

    @model_validator(mode="after")
    def _each_kind_once(self) -> Self:
        if OTHERS not in self.rules:
            raise ValueError(f"there is no rule {OTHERS!r} for kinds that no rule names")
        named = [kind for rule in self.rules.values() for kind in rule.kinds]
        for kind in named:
            if named.count(kind) > 1:
                raise ValueError(f"{kind} stands under more than one rule")
        return self

    def rule_of(self, kind: str) -> str:
        """The name of the rule that a kind of message is kept under."""
        for name, rule in self.rules.items():
            if kind in rule.kinds:
                return name
        return OTHERS

    def bucket(self, kind: str, day: date) -> str:
        """What is recorded of this kind on that day is kept in this bucket (`visa-2026-11`)."""
        return f"{self.rule_of(kind)}-{day:%Y-%m}"

    def due_on(self, bucket: str, *, unconfirmed: bool = False) -> date | None:
        """The day from which on the bucket is shredded; None for what is not the name of one.

        `unconfirmed`: it holds lines whose center has not confirmed them. A bucket whose rule was taken
        out of the configuration is kept as long as the longest of the others.
        """
        named = _BUCKET.fullmatch(bucket)
        if named is None:
            return None
        rule = self.rules.get(named["rule"])
        months = rule.keep_months if rule else max(rule.keep_months for rule in self.rules.values())
        ends = int(named["year"]) * 12 + int(named["month"]) + months
        ends += self.unconfirmed_months if unconfirmed else 0
        return date(ends // 12, ends % 12 + 1, 1)
