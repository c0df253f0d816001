"""`python -m supply.sbom`: what a gateway is made of, as CycloneDX 1.6 JSON.

Made from `requirements.lock` and `licences.toml` alone: the same lock gives the same bytes on every machine
and every day. `--check` fails when the document in the repository is not what the lock says now.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from supply.audit import HERE, LOCKS
from supply.lock import Locked, LockUnreadable, read_lock

ROOT: Final = HERE.parent
LICENCES: Final = HERE / "licences.toml"
DOCUMENT: Final = ROOT / "sbom.cdx.json"
SPECIFICATION: Final = "1.6"
#: The serial number's namespace: the same parts have the same number.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/umrah-gateway")


class LicenceUnknown(ValueError):
    """A locked package whose licence nobody has written down."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 1 when `--check` finds another document; 2 when a file cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        document = written(bill(project, read_lock(given.lock), read_licences(given.licences)))
    except (LockUnreadable, LicenceUnknown, OSError) as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 2
    if faults := invalid(document):
        sys.stderr.write(f"sbom: not CycloneDX {SPECIFICATION}: {faults}\n")
        return 2
    if given.check:
        return _checked(given.output, document)
    given.output.write_bytes(document)
    sys.stdout.write(f"sbom: wrote {given.output.name}\n")
    return 0


def bill(project: Mapping[str, Any], locked: Sequence[Locked], licences: Mapping[str, str]) -> dict[str, Any]:
    """The bill of materials. Raises `LicenceUnknown`."""
    if missing := sorted({each.name for each in locked} - set(licences)):
        raise LicenceUnknown(f"{LICENCES.name}: no licence for {', '.join(missing)}")
    root = f"{project['name']}@{project['version']}"
    components = [_component(each, licences[each.name]) for each in locked]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {
            # From the lock, before anything is built or installed.
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": _licences(project["license"]),
            },
        },
        "components": components,
        "dependencies": _dependencies(root, project["name"], locked),
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    return {"bomFormat": document["bomFormat"], "serialNumber": serial.urn, **document}


def written(document: Mapping[str, Any]) -> bytes:
    """The document's bytes."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def read_licences(path: Path) -> dict[str, str]:
    """An SPDX expression for each package."""
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["licences"])


def invalid(document: bytes) -> str | None:
    """What CycloneDX's own schema has against a document; None: nothing."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION)).validate_str(document.decode())
    return None if fault is None else str(fault.data)[:500]


def _component(locked: Locked, licence: str) -> dict[str, Any]:
    purl = _purl(locked)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": locked.name,
        "version": locked.version,
        "licenses": _licences(licence),
        "purl": purl,
        # One hash for each file that may be installed: which of them depends on the machine.
        "externalReferences": [
            {
                "type": "distribution",
                "url": purl,
                "comment": "the files that the lock admits",
                "hashes": [{"alg": "SHA-256", "content": each} for each in locked.hashes],
            }
        ],
    }
    if locked.marker is not None:
        component["properties"] = [{"name": "umrah-gateway:marker", "value": locked.marker}]
    return component


def _purl(locked: Locked) -> str:
    return f"pkg:pypi/{locked.name}@{locked.version.replace('+', '%2B')}"


def _licences(expression: str) -> list[dict[str, Any]]:
    """A single licence by its id, anything else as an expression: the schema wants no mixture."""
    if " " in expression:
        return [{"expression": expression}]
    return [{"license": {"id": expression}}]


def _dependencies(root: str, project: str, locked: Iterable[Locked]) -> list[dict[str, Any]]:
    refs = {project: [root]}
    for each in locked:
        refs.setdefault(each.name, []).append(_purl(each))
    needs: dict[str, set[str]] = {ref: set() for found in refs.values() for ref in found}
    for each in locked:
        for ref in (ref for name in each.needed_by for ref in refs[name]):
            needs[ref].add(_purl(each))
    return [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)]


def _checked(path: Path, document: bytes) -> int:
    if not path.exists() or path.read_bytes() != document:
        sys.stderr.write(f"sbom: {path.name} is not what the lock says: run `make sbom`\n")
        return 1
    sys.stdout.write(f"sbom: {path.name} is what the lock says\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supply.sbom", description="Bill of materials, CycloneDX JSON")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when it would change")
    parser.add_argument("--lock", type=Path, default=LOCKS[0])
    parser.add_argument("--licences", type=Path, default=LICENCES)
    parser.add_argument("--output", type=Path, default=DOCUMENT)
    return parser


if __name__ == "__main__":
    sys.exit(main())
