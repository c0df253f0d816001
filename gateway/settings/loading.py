"""Reading the configuration: all files and the environment, all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from gateway.errors import Misconfigured
from gateway.message import Operation
from gateway.settings import checks
from gateway.settings import operations as operation_checks
from gateway.settings.confidentiality import ConfidentialityPolicy
from gateway.settings.controls import Controls
from gateway.settings.destinations import Destinations
from gateway.settings.document import Document, Fault, read
from gateway.settings.draft import Draft, of_settings
from gateway.settings.gateway import Gateway
from gateway.settings.model import Settings
from gateway.settings.operations import Classes
from gateway.settings.parties import Parties
from gateway.settings.reference import Reference
from gateway.settings.routes import Routes
from gateway.settings.validation import suggestion, validate

M = TypeVar("M", bound=BaseModel)

#: Beside `gateway.yaml`, in the order in which their faults are told.
FILES: Final = (
    "gateway",
    "parties",
    "destinations",
    "routes",
    "confidentiality",
    "controls",
    "reference",
)
#: Environment variable to the key of gateway.yaml that it overrides.
OVERRIDES: Final = {
    "GATEWAY_DATA_DIR": "data_directory",
    "GATEWAY_DATABASE_URL": "database_url",
    "GATEWAY_BROKER_URL": "broker_url",
}
#: The last is for the tests and the Makefile.
VARIABLES: Final = (
    "GATEWAY_CONFIG",
    *OVERRIDES,
    "GATEWAY_ROOT_KEY",
    "GATEWAY_ROOT_KEY_FILE",
    "GATEWAY_REQUIRE_SERVICES",
)
_SHIPPED: Final = Path(__file__).parents[2] / "config" / "gateway.yaml"


def load(path: Path | None, env: Mapping[str, str]) -> Settings:
    """The settings of `path`, else of `GATEWAY_CONFIG`, else of `config/gateway.yaml`.

    Raises `errors.Misconfigured` with every fault of every file. What depends on the catalogue of
    operations is left to `check_operations`.
    """
    draft, faults = _read_all(path, env)
    faults += checks.faults(draft)
    if faults:
        raise Misconfigured(_lines(faults))
    return _settings(draft)


def lint(
    path: Path | None,
    env: Mapping[str, str],
    operations: Mapping[str, Operation],
    classes: Classes | None = None,
) -> list[str]:
    """Every fault, those against the catalogue of operations included, as `file:line:column: message`.

    `classes` gives the class of each field of each kind of message; our schemas' unless given.
    """
    draft, faults = _read_all(path, env)
    faults += checks.faults(draft)
    faults += operation_checks.faults(draft, operations, classes)
    return _lines(faults)


def check_operations(
    settings: Settings, operations: Mapping[str, Operation], classes: Classes | None = None
) -> None:
    """Raise `errors.Misconfigured` unless the settings fit the catalogue: called once, at the start."""
    if faults := operation_checks.faults(of_settings(settings), operations, classes):
        raise Misconfigured(_lines(faults))


def _read_all(path: Path | None, env: Mapping[str, str]) -> tuple[Draft, list[Fault]]:
    main = path or Path(env.get("GATEWAY_CONFIG") or _default())
    documents: dict[str, Document] = {}
    unreadable: list[Fault] = []
    for name in FILES:
        documents[name], found = read(main if name == "gateway" else main.parent / f"{name}.yaml")
        unreadable += found
    draft, invalid = _draft(main.parent, documents, env)
    # A value that could not even be read is not told a second time.
    told = {(fault.file, fault.line, fault.column) for fault in unreadable}
    invalid = [fault for fault in invalid if (fault.file, fault.line, fault.column) not in told]
    return draft, _unknown_variables(env) + unreadable + invalid


def _default() -> Path:
    here = Path("config") / "gateway.yaml"
    return here if here.exists() else _SHIPPED


def _draft(
    directory: Path, documents: Mapping[str, Document], env: Mapping[str, str]
) -> tuple[Draft, list[Fault]]:
    faults: list[Fault] = []
    places = dict(documents)

    def part(name: str, model: type[M]) -> M | None:
        value, places[name], found = validate(model, documents[name])
        faults.extend(found)
        return value

    gateway = part("gateway", Gateway)
    parties = part("parties", Parties)
    destinations = part("destinations", Destinations)
    draft = Draft(
        directory=directory,
        documents=places,
        gateway=_overridden(gateway, env, faults) if gateway else None,
        parties=parties.parties if parties else (),
        destinations=destinations.destinations if destinations else {},
        routes=part("routes", Routes),
        confidentiality=part("confidentiality", ConfidentialityPolicy),
        controls=part("controls", Controls),
        reference=part("reference", Reference),
    )
    return draft, faults


def _overridden(gateway: Gateway, env: Mapping[str, str], faults: list[Fault]) -> Gateway:
    """`gateway` with the values that the environment sets."""
    changes = {key: env[variable] for variable, key in OVERRIDES.items() if env.get(variable)}
    if not changes:
        return gateway
    data: dict[str, Any] = gateway.model_dump(exclude_unset=True) | changes
    changed, _, found = validate(Gateway, Document("environment", data))
    variables = {key: variable for variable, key in OVERRIDES.items()}
    for fault in found:
        key, _, text = fault.text.partition(": ")
        faults.append(Fault("environment", 1, 1, f"{variables.get(key, key)}: {text}"))
    return changed or gateway


def _unknown_variables(env: Mapping[str, str]) -> list[Fault]:
    return [
        Fault("environment", 1, 1, f"unknown variable {name}{suggestion(name, VARIABLES)}")
        for name in sorted(env)
        if name.startswith("GATEWAY_") and name not in VARIABLES
    ]


def _lines(faults: Iterable[Fault]) -> list[str]:
    """Each fault once, in the order of the files and of the lines in them."""
    order = {"environment": -1} | {f"{name}.yaml": n for n, name in enumerate(FILES)}
    by_place = sorted(set(faults), key=lambda f: (order.get(Path(f.file).name, 0), f.line, f.column, f.text))
    return [str(fault) for fault in by_place]


def _settings(draft: Draft) -> Settings:
    """A draft without faults is complete."""
    if not (draft.gateway and draft.routes and draft.confidentiality and draft.controls and draft.reference):
        raise Misconfigured([f"{draft.directory}:1:1: the configuration is incomplete"])
    return Settings(
        gateway=draft.gateway,
        parties=draft.parties,
        destinations=draft.destinations,
        routes=draft.routes,
        confidentiality=draft.confidentiality,
        controls=draft.controls,
        reference=draft.reference,
        directory=draft.directory,
        documents=draft.documents,
    )
