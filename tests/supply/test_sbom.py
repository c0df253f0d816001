from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest

from supply import sbom
from supply.audit import LOCKS
from supply.lock import read_lock
from supply.sbom import DOCUMENT, LICENCES, ROOT, bill, invalid, read_licences, written

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return bill(PROJECT, read_lock(LOCKS[0]), read_licences(LICENCES))


def test_the_document_in_the_repository_is_what_the_lock_says() -> None:
    assert sbom.main(["--check"]) == 0


def test_another_lock_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(re.sub(r"^idna==\S+", "idna==3.99", LOCKS[0].read_text(), flags=re.MULTILINE))
    assert sbom.main(["--check", "--lock", str(lock)]) == 1
    assert "run `make sbom`" in capsys.readouterr().err


def test_every_locked_package_is_listed_with_every_hash(document: dict[str, Any]) -> None:
    listed = {
        (each["name"], each["version"]): {
            one["content"] for reference in each["externalReferences"] for one in reference["hashes"]
        }
        for each in document["components"]
    }
    assert listed == {(each.name, each.version): set(each.hashes) for each in read_lock(LOCKS[0])}


def test_who_needs_whom_is_told(document: dict[str, Any]) -> None:
    needs = {each["ref"].partition("@")[0]: each["dependsOn"] for each in document["dependencies"]}
    direct = {re.split(r"[<>=;\s\[]", each)[0] for each in PROJECT["dependencies"]}
    names = {each.removeprefix("pkg:pypi/").partition("@")[0] for each in needs["umrah-gateway"]}
    assert names == {name.replace(".", "-") for name in direct}
    assert any(each.startswith("pkg:pypi/vine@") for each in needs["pkg:pypi/amqp"])


def test_the_same_lock_gives_the_same_bytes_and_another_a_new_serial_number(document: dict[str, Any]) -> None:
    locked = read_lock(LOCKS[0])
    again = bill(PROJECT, locked, read_licences(LICENCES))
    assert written(again) == written(document) == DOCUMENT.read_bytes()
    assert bill(PROJECT, locked[1:], read_licences(LICENCES))["serialNumber"] != document["serialNumber"]


def test_cyclonedx_has_nothing_against_it_and_would_say(document: dict[str, Any]) -> None:
    assert invalid(written(document)) is None
    assert invalid(written(document | {"bomFormat": "a list"})) is not None
    component = document["components"][0] | {"licenses": [{"license": {"id": "Not-A-Licence"}}]}
    assert invalid(written(document | {"components": [component]})) is not None


def test_a_package_without_a_known_licence_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    licences = tmp_path / "licences.toml"
    licences.write_text(LICENCES.read_text().replace('zeep = "MIT"\n', ""))
    assert sbom.main(["--licences", str(licences), "--output", str(tmp_path / "sbom.json")]) == 2
    assert "no licence for zeep" in capsys.readouterr().err


#: What a classifier or a name in the old field `License` says in SPDX's words; no word for "BSD" alone.
_IN_SPDX = {
    "MIT": "MIT",
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-",
    "BSD": "BSD-",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def test_the_licences_are_those_of_the_packages_themselves() -> None:
    """What is installed tells; a package for other machines can't be asked."""
    licences = read_licences(LICENCES)
    locked = {each.name for each in read_lock(LOCKS[0])}
    assert set(licences) == locked, "a licence of a package that is not locked any more"
    asked = 0
    for name in sorted(locked):
        try:
            told = metadata(name)
        except PackageNotFoundError:
            continue
        asked += 1
        expression = told.get("License-Expression")
        if expression is not None:
            assert licences[name] == expression, name
            continue
        classifiers = [
            each.rpartition(" :: ")[2]
            for each in told.get_all("Classifier") or ()
            if each.startswith("License ::")
        ]
        for each in classifiers or filter(None, [told.get("License")]):
            assert _IN_SPDX.get(each, each) in licences[name], name
    assert asked > 40
