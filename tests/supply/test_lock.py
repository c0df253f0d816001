from __future__ import annotations

from pathlib import Path

import pytest

from supply.audit import LOCKS
from supply.lock import LockUnreadable, read_lock

ONE = "a" * 64
TWO = "b" * 64


def lock(folder: Path, text: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text(text)
    return path


def test_a_package_has_its_version_marker_hashes_and_who_needs_it(tmp_path: Path) -> None:
    path = lock(
        tmp_path,
        f"Ruamel.Yaml==0.19.1 ; sys_platform == 'win32' \\\n    --hash=sha256:{TWO} \\\n"
        f"    --hash=sha256:{ONE}\n    # via\n    #   zeep\n    #   umrah-gateway (pyproject.toml)\n",
    )
    (found,) = read_lock(path)
    assert (found.name, found.version) == ("ruamel-yaml", "0.19.1")
    assert found.marker == "sys_platform == 'win32'"
    assert found.hashes == (ONE, TWO)
    assert found.needed_by == ("umrah-gateway", "zeep")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("idna==3.20\n    # via yarl\n", "requirements.lock:1: idna has no hash"),
        (f"idna>=3.20 \\\n    --hash=sha256:{ONE}\n", "requirements.lock:1: idna is not pinned"),
        (f"idna==3.* \\\n    --hash=sha256:{ONE}\n", "requirements.lock:1: idna is not pinned"),
        (f"idna @ https://example.org/i.whl \\\n    --hash=sha256:{ONE}\n", "idna is not pinned"),
        (f"# head\nidna==3.20 \\\n    --hash=md5:{ONE[:32]}\n", "requirements.lock:3: neither"),
        (f"-r other.txt \\\n    --hash=sha256:{ONE}\n", "requirements.lock:1: not a requirement"),
    ],
)
def test_what_is_not_pinned_and_hashed_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(LockUnreadable, match=fault):
        read_lock(lock(tmp_path, text))


def test_the_tools_lock_holds_everything_of_the_gateways_own() -> None:
    """What is tested is what is shipped: the same versions, the same files."""
    shipped, tools = ({(each.name, each.version): each.hashes for each in read_lock(path)} for path in LOCKS)
    assert len(shipped) > 40
    assert shipped.items() <= tools.items()
