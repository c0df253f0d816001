from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.settings import load
from gateway.settings.loading import VARIABLES
from tests.deploy.rules import DEPLOY, ROOT, read, read_all
from tests.deploy.test_runbooks import _fault

_FOLDER = DEPLOY / "kubernetes"
_DOCUMENTS: list[dict[str, Any]] = [
    document
    for name in read(_FOLDER / "kustomization.yaml")["resources"]
    for document in read_all(_FOLDER / name)
]
_DEPLOYMENTS = [document for document in _DOCUMENTS if document["kind"] == "Deployment"]
_NAME = {"app.kubernetes.io/name": "umrah-gateway"}


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container  # type: ignore[no-any-return]


def _id(deployment: dict[str, Any]) -> str:
    return str(deployment["metadata"]["name"])


def test_everything_in_the_folder_is_applied() -> None:
    files = {path.name for path in _FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(read(_FOLDER / "kustomization.yaml")["resources"])
    assert {d["metadata"]["name"] for d in _DEPLOYMENTS} == {"umrah-gateway-api", "umrah-gateway-worker"}


@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_id)
def test_a_pod_runs_a_command_that_exists(deployment: dict[str, Any]) -> None:
    container = _container(deployment)
    assert _fault(container["args"]) is None
    role = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
    assert container["args"][container["args"].index("--role") + 1] == role
    assert re.fullmatch(r"umrah-gateway:\d+\.\d+\.\d+", container["image"])


@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_id)
def test_secrets_are_named_and_not_written(deployment: dict[str, Any]) -> None:
    for variable in _container(deployment)["env"]:
        assert variable["name"] in VARIABLES
        if re.search(r"_URL$|_KEY$", variable["name"]):
            assert variable.keys() == {"name", "valueFrom"}
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "umrah-gateway"
            # The page says how that secret is made.
            key = variable["valueFrom"]["secretKeyRef"]["key"]
            assert f"--from-literal={key}=" in (_FOLDER / "README.md").read_text()
    assert not [document for document in _DOCUMENTS if document["kind"] == "Secret"]


@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_id)
def test_probes_ask_what_the_admin_listener_answers(deployment: dict[str, Any]) -> None:
    container = _container(deployment)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listeners = load(ROOT / "config" / "gateway.yaml", {}).gateway.listeners
    assert ports["admin"] == listeners.admin.port
    assert ports.get("public", listeners.public.port) == listeners.public.port
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "admin"},
        "livenessProbe": {"path": "/livez", "port": "admin"},
        "readinessProbe": {"path": "/readyz", "port": "admin"},
    }
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(ports["admin"])


@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_id)
def test_a_pod_has_no_rights_that_it_does_not_need(deployment: dict[str, Any]) -> None:
    pod, container = deployment["spec"]["template"]["spec"], _container(deployment)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    # Otherwise key files become readable by a group, and are refused.
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "limits" in container["resources"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=_id)
def test_a_pod_is_given_longer_to_end_than_the_longest_call(deployment: dict[str, Any]) -> None:
    destinations = load(ROOT / "config" / "gateway.yaml", {}).destinations.values()
    longest = 2 * max(destination.deadline_s for destination in destinations) + 30
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= longest


def test_selectors_find_the_pods() -> None:
    pods = [d["spec"]["template"]["metadata"]["labels"] for d in _DEPLOYMENTS]
    for document in _DOCUMENTS:
        spec = document["spec"]
        selector = spec.get("selector") or spec.get("podSelector")
        if selector is None:
            continue
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= pod.items() for pod in pods), document["metadata"]["name"]


def test_one_pod_of_each_sort_always_stays() -> None:
    budgets = [document for document in _DOCUMENTS if document["kind"] == "PodDisruptionBudget"]
    covered = [budget["spec"]["selector"]["matchLabels"] for budget in budgets]
    for deployment in _DEPLOYMENTS:
        assert deployment["spec"]["replicas"] >= 2
        assert deployment["spec"]["selector"]["matchLabels"] in covered
    assert all(budget["spec"]["minAvailable"] == 1 for budget in budgets)


def test_the_job_has_the_name_that_the_rules_look_for() -> None:
    (monitor,) = [document for document in _DOCUMENTS if document["kind"] == "PodMonitor"]
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    assert monitor["spec"]["selector"]["matchLabels"] == _NAME
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "admin"
