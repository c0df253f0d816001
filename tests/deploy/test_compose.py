from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.bootstrap import OPERATIONS
from gateway.settings import lint, load
from gateway.settings.loading import VARIABLES
from tests.deploy.promtool import promtool
from tests.deploy.rules import DEPLOY, ROOT, read
from tests.deploy.test_runbooks import _fault

_FOLDER = DEPLOY / "compose"
_COMPOSE: dict[str, Any] = read(_FOLDER / "compose.yaml")
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_DOCKERFILE = (_FOLDER / "Dockerfile").read_text()
_PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+[\w.-]*")
OURS = {"gateway", "simulators"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration as it stands in the image, with the file that is mounted over it."""
    folder = tmp_path / "etc"
    shutil.copytree(ROOT / "config", folder)
    shutil.copy(_FOLDER / "gateway.yaml", folder)
    return folder / "gateway.yaml"


def _environment(name: str) -> dict[str, str]:
    """Of a service, with its variables filled in."""
    given = _SERVICES[name]["environment"]
    return {key: re.sub(r"\$\{(\w+)[^}]*\}", "secret", value) for key, value in given.items()}


def test_images_are_of_one_version_each() -> None:
    for name, service in _SERVICES.items():
        assert _PINNED.fullmatch(service["image"]), name
    for image in re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE):
        assert _PINNED.fullmatch(image)
        assert image.startswith("python:3.11.")


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_run_commands_that_exist(name: str) -> None:
    assert _fault(_SERVICES[name]["command"]) is None
    assert 'ENTRYPOINT ["umrah-gateway"]' in _DOCKERFILE
    assert _fault(["serve"]) is None


def test_the_gateway_is_told_only_variables_that_it_knows() -> None:
    told = _environment("gateway")
    assert {name for name in told if name.startswith("GATEWAY_")} <= set(VARIABLES)
    assert set(re.findall(r"(GATEWAY_\w+)=", _DOCKERFILE)) <= set(VARIABLES)


def test_its_configuration_is_clean_and_no_other_than_shipped(config: Path) -> None:
    env = {**_environment("gateway"), "GATEWAY_CONFIG": str(config)}
    env["GATEWAY_ROOT_KEY"] = "0" * 64
    assert lint(None, env, OPERATIONS) == []
    ours, shipped = (load(path, {}) for path in (config, ROOT / "config" / "gateway.yaml"))
    differs = {
        name
        for name in type(shipped.gateway).model_fields
        if getattr(ours.gateway, name) != getattr(shipped.gateway, name)
    }
    assert differs <= {"listeners", "data_directory", "database_url"}


def test_ports_agree(config: Path) -> None:
    listeners = load(config, {}).gateway.listeners
    assert _SERVICES["gateway"]["ports"] == [f"127.0.0.1:{listeners.public.port}:{listeners.public.port}"]
    assert f"EXPOSE {listeners.public.port} {listeners.admin.port}" in _DOCKERFILE
    assert f":{listeners.admin.port}/readyz" in " ".join(_SERVICES["gateway"]["healthcheck"]["test"])
    scraped = read(DEPLOY / "prometheus" / "prometheus.yaml")["scrape_configs"][0]
    assert scraped["job_name"] == "umrah-gateway"
    assert scraped["static_configs"][0]["targets"] == [f"gateway:{listeners.admin.port}"]


def test_the_simulators_are_where_destinations_look_for_them() -> None:
    """They listen on 127.0.0.1 only: in the gateway's own network."""
    assert _SERVICES["simulators"]["network_mode"] == "service:gateway"
    command = _SERVICES["simulators"]["command"]
    port = command[command.index("--port") + 1]
    urls = [d["url"] for d in read(ROOT / "config" / "destinations.yaml")["destinations"].values()]
    assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in urls)


def test_no_port_is_open_to_other_machines() -> None:
    for name, service in _SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_no_secret_stands_in_a_file() -> None:
    """Passwords come from .env, which is not committed; the file that shows its form is empty."""
    for service in _SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASS|_KEY$|_URL$", name):
                assert re.search(r"\$\{\w+:\?", value), name
    shown = (_FOLDER / "env.example").read_text()
    assert re.findall(r"^\w+=(.*)$", shown, re.MULTILINE) == [""] * 4
    wanted = set(re.findall(r"\$\{(\w+)", (_FOLDER / "compose.yaml").read_text()))
    assert wanted == set(re.findall(r"^(\w+)=", shown, re.MULTILINE))
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def _mounts() -> Iterator[tuple[str, str]]:
    for name, service in _SERVICES.items():
        for volume in service.get("volumes", ()):
            yield name, volume.split(":")[0]


def test_what_is_mounted_exists() -> None:
    for name, source in _mounts():
        if source.startswith("."):
            assert (_FOLDER / source).resolve().exists(), f"{name}: {source}"
        else:
            assert source in _COMPOSE["volumes"], f"{name}: {source}"


def test_the_image_gets_what_it_copies_and_nothing_more() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", _DOCKERFILE, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    }
    ignored = (_FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored
    assert all((ROOT / source).exists() for source in copied)
    assert "--require-hashes" in _DOCKERFILE
    assert "requirements.lock" in copied
    assert re.search(r"^USER \d+$", _DOCKERFILE, re.MULTILINE)


def test_a_container_is_given_longer_to_stop_than_the_longest_call(config: Path) -> None:
    destinations = load(config, {}).destinations.values()
    assert _SERVICES["gateway"]["stop_grace_period"] == "2m"
    assert max(2 * destination.deadline_s for destination in destinations) + 30 <= 120


def test_prometheus_takes_its_configuration() -> None:
    promtool("check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yaml")


def test_prometheus_and_grafana_find_what_is_mounted() -> None:
    mounts = {v.split(":")[1]: v.split(":")[0] for s in _SERVICES.values() for v in s.get("volumes", ())}
    command = " ".join(_SERVICES["prometheus"]["command"])
    assert re.search(r"--config.file=(\S+)", command)[1] in mounts  # type: ignore[index]
    assert "/etc/prometheus/rules" in mounts
    provider = read(DEPLOY / "grafana" / "provisioning" / "dashboards" / "gateway.yaml")["providers"][0]
    assert f"{provider['options']['path']}/gateway.json" in mounts
    source = read(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
