"""Sets of configuration files for the tests: small, valid, and easy to break in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.message import Exchange, Operation

FILES: Final = {
    "gateway": """\
carrying:
  lease_s: 60
intake:
  max_lines: 1000
""",
    "parties": """\
parties:
  - {id: sc-01, kind: service_center, name_en: One, name_ar: واحد, demo_key: true}
  - {id: nic, kind: system, name_en: NIC, name_ar: المركز, demo_key: true}
""",
    "destinations": """\
destinations:
  nic:
    party: nic
    url: http://127.0.0.1:8090/nic
    clearance: restricted
    deadline_s: 15
    longest_processing_s: 120
    inquiry:
      enabled: true
""",
    "routes": """\
version: "1"
itineraries:
  visa.application:
    stages:
      - [interior.clearance]
      - [interior.issue]
""",
    "confidentiality": """\
version: "1"
grants:
  nic:
    interior.clearance:
      purpose: Clearance
      fields:
        - passport.number
        - birth_date
    interior.issue:
      purpose: Issuing
      fields: [passport.number]
results:
  service_center: [reference, state]
""",
    "controls": """\
version: "1"
passport_validity_months: 6
""",
    "reference": """\
version: "1"
licensees:
  - {id: LIC-1, name_en: A, name_ar: أ, status: active}
service_centers:
  - {id: sc-01, status: active, licensees: [LIC-1]}
agents:
  - {id: AGT-1, licensees: [LIC-1], country: IDN, status: active, contract_until: 2027-01-31}
missions:
  - {id: MSN-IDN-JKT, country: IDN, status: open}
packages:
  - {id: PKG-1, licensee: LIC-1, status: approved}
groups:
  - {number: GRP-1, licensee: LIC-1}
""",
}

CLASSES: Final = {
    "visa.application": {"passport.number": "restricted", "birth_date": "restricted", "photo": "secret"},
    "other.kind": {"passport.number": "secret", "other_id": "public"},
}


def _never(*_: object) -> object:
    raise AssertionError("no converter is called here")


ASK: Final = Exchange("Ask", _never, _never)  # type: ignore[arg-type]


def operation(
    name: str,
    *,
    destination: str = "nic",
    repeatable: bool = True,
    needs: frozenset[str] = frozenset({"passport.number"}),
    inquiry: Exchange | None = None,
) -> Operation:
    return Operation(name, destination, repeatable, needs, ASK, inquiry=inquiry)


OPERATIONS: Final = {
    "interior.clearance": operation("interior.clearance", needs=frozenset({"passport.number", "birth_date"})),
    "interior.issue": operation("interior.issue", repeatable=False, inquiry=ASK),
}


def write(directory: Path, **changes: tuple[str, str] | str) -> Path:
    """A set in `directory`: whole files, or (old, new) replacements in them. Returns gateway.yaml."""
    for name, text in FILES.items():
        change = changes.get(name, text)
        if isinstance(change, tuple):
            assert text.count(change[0]) == 1, f"{change[0]!r} must stand once in {name}"
            change = text.replace(*change)
        (directory / f"{name}.yaml").write_text(change, encoding="utf-8")
    return directory / "gateway.yaml"


def place(main: Path, file: str, marked: str) -> str:
    """`file:line:column` of the first character of `marked`, which stands once in that file."""
    text = (main.parent / f"{file}.yaml").read_text(encoding="utf-8")
    assert text.count(marked) == 1, f"{marked!r} must stand once in {file}"
    before = text[: text.index(marked)]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f"{main.parent / file}.yaml:{line}:{column}"
