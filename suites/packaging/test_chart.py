"""The Helm chart: linted, rendered, compared with the API of Kubernetes, and its pod served from here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.distribution.interpreter import module_command
from holdfast.fake_provider import ScriptedProvider, ok

ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "packaging" / "helm" / "holdfast")
PEPPER, KEY = "5e" * 32, "sk-of-acme-0123456789"
NEEDED: dict[str, Any] = {
    "database": {"url": "postgresql://holdfast@db:5432/holdfast", "existingSecret": "holdfast-db"},
    "pepper": {"existingSecret": "holdfast-pepper"},
    "keys": {"existingSecret": "holdfast-keys"},
}
INGRESS = {"ingress": {"enabled": True, "host": "llm.example.com", "tlsSecret": "tls", "className": "nginx"}}
ALONE = {"replicas": 1, "podDisruptionBudget": {"enabled": False}}
FULL = {
    "workers": 4,
    "replicas": 5,
    "gateway": {"drain": "120s", "accessLog": True, "waitForStore": "10s", "names": ["llm.internal"]},
    "imagePullSecrets": [{"name": "pull"}],
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
READ_ONLY = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"'
Judge = Callable[..., dict[str, Any]]


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    (only,) = [value for value in objects if value["kind"] == kind]
    return only


@pytest.mark.parametrize("more", [{}, INGRESS, FULL, ALONE])
def test_the_chart_is_without_fault_and_valid_for_old_and_new_kubernetes(
    more: dict[str, Any], judged: Judge
) -> None:
    made = judged(chart=CHART, values=NEEDED | more)
    assert made["problems"] == []
    kinds = {"ConfigMap", "Deployment", "Service"}
    if more is INGRESS:
        kinds.add("Ingress")
    if more is not ALONE:
        kinds.add("PodDisruptionBudget")
    assert {value["kind"] for value in made["objects"]} == kinds
    for version in ("1.27", "1.37"):
        assert judged(objects=made["objects"], version=version)["problems"] == []


def test_the_judge_sees_a_mistake(judged: Judge) -> None:
    deployment = of_kind(judged(chart=CHART, values=NEEDED)["objects"], "Deployment")
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 90
    assert "terminationGracePeriod" in judged(objects=[deployment], version="1.37")["problems"][0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"database": {"url": "postgresql://holdfast:secret@db/holdfast"}}, "holds a password"),
        ({"database": {"url": ""}}, "without a password"),
        ({"pepper": {"existingSecret": ""}}, "need the same"),
        ({"gateway": {"drain": "half a minute"}}, "gateway/drain"),
        ({"replicas": 0}, "replicas"),
        ({"ingress": {"enabled": True, "host": "llm.example.com", "tlsSecret": ""}}, "TLS is needed"),
    ],
)
def test_values_that_would_not_work_are_refused(values: dict[str, Any], text: str, judged: Judge) -> None:
    problems = judged(chart=CHART, values=NEEDED | values)["problems"]
    assert text in problems[-1]
    assert "secret@" not in "".join(problems)


def test_a_pod_has_the_time_that_its_gateway_needs(judged: Judge) -> None:
    for more in ({}, FULL):
        objects = judged(chart=CHART, values=NEEDED | more)["objects"]
        pod = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
        settings = tomllib.loads(of_kind(objects, "ConfigMap")["data"]["holdfast.toml"])["gateway"]
        container = pod["containers"][0]
        leave = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        # process/supervisor: workers get their time to drain, that of a renewal, and five seconds more
        assert pod["terminationGracePeriodSeconds"] >= leave + int(settings["drain"][:-1]) + 50
        waits = int(container["args"][4].partition("=")[2][:-1])
        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] > waits


def lay(folder: Path, files: dict[str, str]) -> None:
    """Lay a volume as the kubelet does: files of root behind two links, which nobody may write."""
    data = folder / "..2026_11_30"
    data.mkdir(parents=True)
    (folder / "..data").symlink_to(data.name)
    for name, text in files.items():
        (data / name).write_text(text)
        (data / name).chmod(0o440)
        (folder / name).symlink_to(f"..data/{name}")
    data.chmod(0o555)
    folder.chmod(0o555)


class Pod:
    """A pod of the chart, run here: its arguments, variables and volumes, below a directory of the test."""

    def __init__(self, objects: list[dict[str, Any]], below: Path, url: str, provider: str) -> None:
        template = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
        container = template["containers"][0]
        self._below, self.home = below, below / "etc/holdfast"
        keys = below / "run/secrets/holdfast"
        config = of_kind(objects, "ConfigMap")["data"]["holdfast.toml"]
        config = config.replace("/run/secrets/holdfast", str(keys))
        config = config.replace("https://llm.acme.example/v1", provider)
        config = re.sub(r'store = ".*"', f"store = {json.dumps(url)}", config)
        lay(self.home, {"holdfast.toml": config, "pepper": PEPPER})
        lay(keys, {"acme": KEY})
        mounts = {mount["mountPath"]: mount.get("readOnly") for mount in container["volumeMounts"]}
        assert mounts == {"/etc/holdfast": True, "/run/secrets/holdfast": True, "/tmp": None}
        assert {each["name"] for each in container["env"]} == {"HOLDFAST_HOME", "PGPASSWORD"}
        self.arguments = [each.replace("0.0.0.0:4141", "127.0.0.1:0") for each in container["args"]]
        self.environ = os.environ | {"HOLDFAST_HOME": str(self.home), "PGPASSWORD": "not asked for"}

    def command(self, *arguments: str) -> list[str]:
        """A command of the container, which cannot write its home: for root too."""
        command = module_command("holdfast", *arguments)
        if os.geteuid() == 0:
            return ["unshare", "--mount", "sh", "-euc", READ_ONLY, str(self._below), *command]
        return command

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=60, check=False
        )

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Run the container, and give its root URL."""
        command = self.command(*self.arguments, "--json")
        with subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())["url"]
            finally:
                process.terminate()
                assert process.wait(60) == 0


def test_two_pods_of_the_chart_serve_as_one_from_a_home_that_they_cannot_write(
    judged: Judge, url: str, tmp_path: Path
) -> None:
    objects = judged(chart=CHART, values=NEEDED)["objects"]
    service = of_kind(objects, "Service")["metadata"]["name"]
    with ScriptedProvider(ok("fine")) as provider, ExitStack() as stack:
        pods = [Pod(objects, tmp_path / name, url, provider.url) for name in ("one", "two")]
        roots = [stack.enter_context(pod.serving()) for pod in pods]
        token = pods[0].run("token", "new", "--label", "test").stdout.split()[0]
        headers = {"authorization": f"Bearer {token}", "host": f"{service}:4141"}
        body = {"model": "acme/big-model", "messages": [{"role": "user", "content": "hi"}]}
        for root in roots:
            # The kubelet calls a pod by its address, a client by the service's name.
            assert httpx2.get(f"{root}/health/ready").status_code == 200
            assert httpx2.get(f"{root}/health/live").status_code == 200
            answer = httpx2.post(f"{root}/s/shared/v1/chat/completions", json=body, headers=headers)
            assert (answer.status_code, answer.headers["holdfast-session"]) == (200, "shared")
            foreign = httpx2.get(f"{root}/health/ready", headers={"host": "evil.example"})
            assert foreign.status_code == 403
        assert {call.headers["authorization"] for call in provider.calls} == {f"Bearer {KEY}"}
        assert list((tmp_path / "one/etc/holdfast").glob("*.db")) == []
        doctor = pods[0].run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert doctor.stdout.count("uses this database") == 2, doctor.stdout
