"""What the stand-in of Foreign Affairs has issued, kept in an append-only journal.

Each line is a JSON object and is handed to the operating system before the caller is answered, so that a
process that is killed has forgotten nothing that it said.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

#: Odd and not a multiple of 5: steps through all ten-digit numbers without meeting one twice.
_STRIDE: Final = 7_368_787
_NUMBERS: Final = 10**10
_FIRST: Final = 6_000_000_000


@dataclass(frozen=True, slots=True)
class IssuedVisa:
    """One visa. Dates are Gregorian, ISO 8601."""

    reference: str
    #: Issuing state and passport number.
    person: str
    number: str
    valid_from: str
    valid_until: str
    stay_until: str
    #: When it was issued, with its time zone; empty where that is not known any more.
    at: str = ""


class VisaRegister:
    """In memory, and in `journal` where one is given. Not thread-safe."""

    def __init__(self, *, seed: int = 0, journal: Path | None = None) -> None:
        self._seed = seed
        self._journal = journal
        self._file: IO[bytes] | None = None
        self._issued = 0
        self._by_reference: dict[str, list[IssuedVisa]] = {}
        self._live: defaultdict[str, set[str]] = defaultdict(set)
        self._cancelled: set[str] = set()
        self._happened: set[str] = set()
        self._twice: dict[str, None] = {}

    def open(self) -> None:
        """Read the journal back and go on with it. A last line that was cut short was never answered for."""
        if self._journal is None:
            return
        self._file = self._journal.open("a+b")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            self._apply(json.loads(line))
        self._file.truncate(whole)

    def close(self) -> None:
        """Close the journal. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def issue(
        self,
        reference: str,
        person: str,
        *,
        valid_from: str,
        valid_until: str,
        stay_until: str,
        at: str = "",
    ) -> IssuedVisa:
        """A new visa, even where one was issued before: whether that is right, the caller decides."""
        number = f"{(_FIRST + self._seed + self._issued * _STRIDE) % _NUMBERS:010}"
        visa = IssuedVisa(reference, person, number, valid_from, valid_until, stay_until, at)
        self._record({"event": "issued", **asdict(visa)})
        return visa

    def cancel(self, visa: IssuedVisa) -> None:
        """The visa is no longer live."""
        self._record({"event": "cancelled", "reference": visa.reference, "number": visa.number})

    def first_time(self, what: str) -> bool:
        """Whether `what` happens for the first time; from then on it has happened."""
        if what in self._happened:
            return False
        self._record({"event": "happened", "what": what})
        return True

    def find(self, reference: str) -> IssuedVisa | None:
        """The first visa issued under that reference."""
        return next(iter(self._by_reference.get(reference, ())), None)

    def is_cancelled(self, visa: IssuedVisa) -> bool:
        return visa.number in self._cancelled

    def evidence(self) -> dict[str, Any]:
        """`issued_twice`: references with two visas, or of persons with two visas live at one time."""
        return {
            "visas_issued": self._issued,
            "distinct_applications": len(self._by_reference),
            "issued_twice": list(self._twice),
        }

    def visas(self) -> dict[str, dict[str, Any]]:
        """Every visa by its number: for whom it was issued, and whether it was cancelled."""
        return {
            visa.number: {"person": visa.person, "live": visa.number not in self._cancelled}
            for visas in self._by_reference.values()
            for visa in visas
        }

    def issued(self) -> list[IssuedVisa]:
        """Every visa, in the order of the references."""
        return [visa for visas in self._by_reference.values() for visa in visas]

    def _record(self, entry: dict[str, Any]) -> None:
        if self._journal is not None:
            if self._file is None:
                raise RuntimeError("VisaRegister is not open")
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        match entry.pop("event"):
            case "issued":
                self._add(IssuedVisa(**entry))
            case "cancelled":
                self._remove(entry["reference"], entry["number"])
            case "happened":
                self._happened.add(entry["what"])

    def _add(self, visa: IssuedVisa) -> None:
        self._issued += 1
        visas = self._by_reference.setdefault(visa.reference, [])
        live = self._live[visa.person]
        if visas or live:
            self._twice[visa.reference] = None
        visas.append(visa)
        live.add(visa.number)

    def _remove(self, reference: str, number: str) -> None:
        self._cancelled.add(number)
        for visa in self._by_reference.get(reference, ()):
            self._live[visa.person].discard(number)
