"""Reading the files: every fault of every file at once, at its exact place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.settings import lint, load
from tests.settings.sets import CLASSES, FILES, OPERATIONS, place, write


def faults_of(main: Path, env: dict[str, str] | None = None) -> list[str]:
    return lint(main, env or {}, OPERATIONS, CLASSES)


def test_a_valid_set_has_no_fault_and_loads(tmp_path: Path) -> None:
    main = write(tmp_path)
    assert faults_of(main) == []
    settings = load(main, {})
    assert settings.routes.itineraries["visa.application"].stages == (
        ("interior.clearance",),
        ("interior.issue",),
    )
    assert settings.reference.agents[0].contract_until == date(2027, 1, 31)
    assert settings.gateway.intake.max_lines == 1000
    assert settings.gateway.listeners.public.port == 8080


def test_five_faults_in_four_files_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        gateway=("max_lines: 1000", "max_linez: 1000"),
        destinations=FILES["destinations"].replace("deadline_s: 15", "deadline_s: -15"),
        routes=("interior.clearance", "interior.clearence"),
        confidentiality=FILES["confidentiality"].replace("        - birth_date\n", "        - birthdate\n"),
    )
    assert faults_of(main) == [
        f"{tmp_path}/gateway.yaml:4:3: unknown key 'max_linez' (did you mean 'max_lines'?)",
        f"{tmp_path}/destinations.yaml:6:17: deadline_s: should be greater than 0",
        f"{tmp_path}/routes.yaml:5:10: unknown operation 'interior.clearence'"
        " (did you mean 'interior.clearance'?)",
        f"{tmp_path}/confidentiality.yaml:7:9: operation 'interior.clearance' needs field 'birth_date',"
        " which is not granted",
        f"{tmp_path}/confidentiality.yaml:8:11: unknown field 'birthdate' (did you mean 'birth_date'?)",
    ]


def test_the_start_is_refused_with_the_same_lines(tmp_path: Path) -> None:
    main = write(tmp_path, gateway=("max_lines", "max_linez"), controls=("6", "six"))
    with pytest.raises(Misconfigured) as refused:
        load(main, {})
    assert list(refused.value.faults) == faults_of(main)
    assert len(refused.value.faults) == 2


def test_a_misspelt_required_key_is_one_fault(tmp_path: Path) -> None:
    main = write(tmp_path, destinations=("deadline_s", "deadlne_s"))
    assert faults_of(main) == [
        f"{place(main, 'destinations', 'deadlne_s')}: unknown key 'deadlne_s' (did you mean 'deadline_s'?)"
    ]


def test_a_missing_key_is_told_at_what_lacks_it(tmp_path: Path) -> None:
    main = write(tmp_path, destinations=("    clearance: restricted\n", ""))
    assert faults_of(main) == [f"{tmp_path}/destinations.yaml:2:3: missing key 'clearance'"]


def test_a_duplicate_key_is_told_at_its_second_place(tmp_path: Path) -> None:
    main = write(tmp_path, gateway="log_level: info\nlog_level: debug\ncarrying: {lease_s: 60}\n")
    assert faults_of(main) == [
        f"{tmp_path}/gateway.yaml:2:1: duplicate key 'log_level', first given in line 1"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_lines: 1000", "max_lines: many", "max_lines should be a whole number"),
        ("max_lines: 1000", "max_lines: '1000'", "max_lines should be a whole number"),
        ("max_lines: 1000", "max_lines: true", "max_lines should be a whole number"),
        ("max_lines: 1000", "max_lines: 10.5", "max_lines should be a whole number"),
        ("max_lines: 1000", "max_lines: -1", "max_lines: should be greater than 0"),
        ("max_lines: 1000", "max_lines: 99999999999", "max_lines: should be less than or equal to 10000000"),
        ("lease_s: 60", "lease_s: .inf", "lease_s: should be a finite number"),
        ("lease_s: 60", "lease_s: .nan", "lease_s: should be a finite number"),
        ("lease_s: 60", "lease_s: [60]", "lease_s should be a number"),
        ("lease_s: 60", "lease_s: !!python/name:os.system x", "a value that cannot be read"),
    ],
)
def test_a_wrong_value_is_told_once_at_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    main = write(tmp_path, gateway=(old, new))
    (fault,) = faults_of(main)
    value = new.partition(": ")[2]
    assert fault.startswith(f"{place(main, 'gateway', value)}: {message}")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "1:1: is empty"),
        (b"a: [1,\n", "2:1: not YAML: "),
        (b"\xff\xfe", "1:1: is not UTF-8"),
        (b"a: \x00\n", "1:1: holds characters that YAML does not allow"),
        (b"[" * 100_000, "1:1: is nested too deep"),
        (b"- 1\n", "1:1: the file should be a mapping"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_fault_and_the_others_are_still_checked(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    main = write(tmp_path, routes=("interior.issue", "interior.isue"))
    main.write_bytes(content)
    found = faults_of(main)
    assert any(line.startswith(f"{main}:{fault}") for line in found)
    assert any("unknown operation 'interior.isue'" in line for line in found)


def test_an_alias_is_refused_before_it_grows(tmp_path: Path) -> None:
    bomb = "a0: &a0 [1, 1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 5)
    )
    main = write(tmp_path, gateway=bomb)
    assert any("1:5: repeated by an alias: write it out" in line for line in faults_of(main))


def test_an_absent_file_is_a_fault(tmp_path: Path) -> None:
    main = write(tmp_path)
    (tmp_path / "controls.yaml").unlink()
    assert faults_of(main) == [f"{tmp_path}/controls.yaml:1:1: cannot be read: No such file or directory"]
    with pytest.raises(Misconfigured):
        load(main, {})


def test_a_value_in_a_file_is_never_repeated_in_a_fault(tmp_path: Path) -> None:
    main = write(tmp_path, gateway="database_url: oracle://user:hunter2@db\nbroker_url: {hunter2: 1}\n")
    found = faults_of(main)
    assert len(found) >= 2
    assert not any("hunter2" in line for line in found)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://broker:notaport//",
        "amqp://broker:70000//",
        "amqps://[::1//",
        "amqp://us er@broker//",
        "amqp://us:hun#ter2@broker//",
    ],
)
def test_a_brokers_address_that_is_none_is_a_fault_in_its_place(tmp_path: Path, url: str) -> None:
    main = write(tmp_path, gateway=f"log_level: info\nbroker_url: '{url}'\n")
    (found,) = [line for line in faults_of(main) if "password" not in line]
    assert found.startswith(f"{tmp_path}/gateway.yaml:2:13: ")
    assert "hun" not in found
    assert "broker_url" in found


def test_a_brokers_address_from_the_environment_is_looked_at_too(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path), {"GATEWAY_BROKER_URL": "amqp://gw:hunter2@broker:notaport//"})
    assert len(found) == 1
    assert "hunter2" not in found[0]


@pytest.mark.parametrize(
    "url", ["amqp://", "amqp://broker", "amqps://broker:5671/umrah", "amqp://[::1]:5672//"]
)
def test_a_brokers_address_may_leave_out_what_has_a_default(tmp_path: Path, url: str) -> None:
    main = write(tmp_path, gateway=f"broker_url: '{url}'\n")
    assert faults_of(main) == []


def test_a_faulty_entry_does_not_make_what_refers_to_it_wrong(tmp_path: Path) -> None:
    main = write(tmp_path, parties=("kind: system", "kind: sistem"), reference=("name_en: A, ", ""))
    assert [line.partition(": ")[2] for line in faults_of(main)] == [
        "kind: should be 'service_center', 'ministry', 'committee' or 'system'",
        "missing key 'name_en'",
    ]


def test_places_stay_right_behind_a_faulty_entry(tmp_path: Path) -> None:
    parties = "parties:\n  - {id: 7}\n  - {id: x, kind: martian}\n" + FILES["parties"].partition("\n")[2]
    parties += "  - {id: sc-01, kind: system, name_en: Twin, name_ar: توأم}\n"
    main = write(tmp_path, parties=parties)
    assert f"{tmp_path}/parties.yaml:6:10: id 'sc-01' is given twice" in faults_of(main)


# --- the environment ------------------------------------------------------------------------------


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    env = {
        "GATEWAY_DATABASE_URL": "postgresql+psycopg://gw:secret@db/umrah",
        "GATEWAY_BROKER_URL": "memory://",
        "GATEWAY_DATA_DIR": "/var/lib/umrah",
    }
    gateway = load(write(tmp_path), env).gateway
    assert gateway.database_url == env["GATEWAY_DATABASE_URL"]
    assert gateway.broker_url == "memory://"
    assert gateway.data_directory == "/var/lib/umrah"
    assert gateway.intake.max_lines == 1000


def test_the_database_stands_in_the_data_directory_unless_told_otherwise(tmp_path: Path) -> None:
    main = write(tmp_path)
    assert load(main, {}).gateway.database_url == "sqlite:///data/gateway.db"
    moved = load(main, {"GATEWAY_DATA_DIR": "/tmp/elsewhere"})
    assert moved.gateway.database_url == "sqlite:////tmp/elsewhere/gateway.db"


def test_the_configuration_is_found_through_the_environment(tmp_path: Path) -> None:
    main = write(tmp_path)
    assert load(None, {"GATEWAY_CONFIG": str(main)}).directory == tmp_path


def test_an_unknown_variable_is_a_fault_with_a_suggestion(tmp_path: Path) -> None:
    env = {"GATEWAY_DATABSE_URL": "x", "HOME": "/", "GATEWAY_REQUIRE_SERVICES": "1"}
    assert faults_of(write(tmp_path), env) == [
        "environment:1:1: unknown variable GATEWAY_DATABSE_URL (did you mean 'GATEWAY_DATABASE_URL'?)"
    ]


def test_a_wrong_variable_is_a_fault_that_does_not_show_its_value(tmp_path: Path) -> None:
    found = faults_of(write(tmp_path), {"GATEWAY_BROKER_URL": "amqq://u:hunter2@mq", "GATEWAY_X": ""})
    assert len(found) == 2
    assert found[0].startswith("environment:1:1: GATEWAY_BROKER_URL: ")
    assert "hunter2" not in "".join(found)


def test_settings_do_not_show_a_password_when_printed(tmp_path: Path) -> None:
    settings = load(write(tmp_path), {"GATEWAY_DATABASE_URL": "postgresql+psycopg://gw:hunter2@db/umrah"})
    assert "hunter2" not in f"{settings} {settings!r} {[settings]}"
    assert "hunter2" not in repr(settings.gateway)
