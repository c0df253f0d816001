"""The four confidentiality classes. Every field of a message carries exactly one."""

from __future__ import annotations

from enum import StrEnum


class Confidentiality(StrEnum):
    """How widely a field may be known, from the widest to the narrowest."""

    #: عام: codes, calendars, published aggregates.
    PUBLIC = "public"
    #: مقيد: names, ids, passport, phone, visa and border numbers, guarantees.
    RESTRICTED = "restricted"
    #: سري: photo, clearance result and reason, health, disclosures, investigations.
    SECRET = "secret"  # noqa: S105 a class, not a password
    #: سري للغاية: exists, and no field carries it.
    TOP_SECRET = "top_secret"  # noqa: S105

    @property
    def rank(self) -> int:
        """0 for public up to 3 for top secret."""
        return list(Confidentiality).index(self)

    def permits(self, field_class: Confidentiality) -> bool:
        """Whether a receiver cleared for this class may have a field of `field_class`."""
        return field_class.rank <= self.rank
