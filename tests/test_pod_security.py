"""Pods of deploy/kubernetes keep to the profile "restricted" of Kubernetes' Pod Security Standards, by its text."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.test_deploy import WORKLOADS

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range"}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
Pod = dict[str, Any]


def violations(pod: Pod) -> Iterator[str]:
    """Yields the control that is not kept to, by the field that the standard names; containers of all kinds count."""
    of_pod = pod.get("securityContext", {})
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    yield from ("volumes" for volume in pod.get("volumes", []) if not volume.keys() - {"name"} <= VOLUMES)
    yield from ("sysctls" for one in of_pod.get("sysctls", []) if one["name"] not in SYSCTLS)
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            yield from (field for field, kept in kept_by(container, of_pod).items() if not kept)


def kept_by(container: Pod, of_pod: Pod) -> dict[str, bool]:
    own = container.get("securityContext", {})
    effective = of_pod | own
    capabilities = own.get("capabilities", {})
    selinux = effective.get("seLinuxOptions", {})
    return {
        "windowsOptions.hostProcess": not effective.get("windowsOptions", {}).get("hostProcess"),
        "privileged": not own.get("privileged"),
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot": effective.get("runAsNonRoot") is True,
        "runAsUser": effective.get("runAsUser") != 0,
        "capabilities.drop": "ALL" in capabilities.get("drop", []),
        "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
        "seccompProfile.type": effective.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
        "appArmorProfile.type": effective.get("appArmorProfile", {}).get("type") != "Unconfined",
        "seLinuxOptions": selinux.get("type", "") in SELINUX and not {"user", "role"} & selinux.keys(),
        "procMount": own.get("procMount", "Default") == "Default",
        "hostPort": not any(port.get("hostPort") for port in container.get("ports", [])),
        "lifecycle.host": "host" not in str(container.get("lifecycle", "")) + str(container.get("livenessProbe", "")),
    }


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
def test_each_pod_keeps_to_the_restricted_standard(workload: dict[str, Any]) -> None:
    assert list(violations(workload["spec"]["template"]["spec"])) == []


@pytest.mark.parametrize(
    ("place", "value", "control"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("volumes", [{"name": "etc", "hostPath": {"path": "/etc"}}], "volumes"),
        ("securityContext.runAsNonRoot", None, "runAsNonRoot"),
        ("securityContext.runAsUser", 0, "runAsUser"),
        ("securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile.type"),
        ("containers.0.securityContext.privileged", True, "privileged"),
        ("containers.0.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
        ("containers.0.securityContext.capabilities", {}, "capabilities.drop"),
        ("containers.0.ports", [{"containerPort": 1, "hostPort": 1}], "hostPort"),
    ],
)
def test_a_pod_that_does_not_is_found(place: str, value: object, control: str) -> None:
    pod = copy.deepcopy(WORKLOADS[0]["spec"]["template"]["spec"])
    *path, last = place.split(".")
    inner = pod
    for name in path:
        inner = inner[int(name)] if name.isdigit() else inner[name]
    inner[last] = value

    assert list(violations(pod)) == [control]
