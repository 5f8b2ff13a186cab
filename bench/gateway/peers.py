"""Who is measured: for each, how it is installed, started with the same providers behind it, and addressed.

Every peer does as much of the gateway's job as it can be told to: `does` says what. The keys are invented;
nothing leaves the machine."""

from __future__ import annotations

import json
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from . import cache

_OWN = Path(__file__).parent / "peer_files"
_CLIENT_KEY, _PROVIDER_KEY = "sk-bench-client-0001", "sk-bench-provider-0001"
_ANSWERS = "stub"
"""The model that the stub provider says answered: ours asks for it by this name, since another one would be
written down each time."""
Ports = Mapping[str, int]
"""The stub provider's port for each way of answering (c/stub.c)."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a peer is started."""

    argv: tuple[str | Path, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a started peer listens, and the token that its clients show."""

    port: int
    token: str = _CLIENT_KEY


@dataclass(frozen=True, slots=True)
class Target:
    """What the load generator is told: where to post, which model, which headers. "{}" in a header becomes
    the connection's number."""

    port: int
    path: str
    model: str
    headers: tuple[str, ...]


class Peer(ABC):
    """One candidate. `patience` is how many seconds it may take until it answers."""

    name: ClassVar[str]
    does: ClassVar[str]
    patience: ClassVar[float] = 20.0
    quick: ClassVar[bool] = False

    @abstractmethod
    def install(self) -> str:
        """Make it ready to start, and tell its version. Raises `cache.NotInstalled`."""

    @abstractmethod
    def launch(self, place: Path, port: int, stub: Ports) -> Launch | None:
        """Write its configuration into `place` and say how it is started; nothing where there is nothing to
        start."""

    def address(self, port: int, said: str) -> Address | None:  # noqa: ARG002 - most peers listen where they are told to
        """Where it listens, from the port that it was given or what it has said so far; nothing while it has
        not said it."""
        return Address(port)

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002 - the one that is asked directly needs the stub's ports
        """How this way of answering is asked for through it."""
        return Target(at.port, "/v1/chat/completions", mode, (f"Authorization: Bearer {at.token}",))


class Direct(Peer):
    """No gateway at all: what the others' latency is compared with."""

    name, does, quick = "direct", "no gateway: the load generator asks the provider", True

    def install(self) -> str:
        return ""

    def launch(self, place: Path, port: int, stub: Ports) -> Launch | None:  # noqa: ARG002
        return None

    def target(self, mode: str, at: Address, stub: Ports) -> Target:
        return Target(stub[mode], "/v1/chat/completions", mode, (f"Authorization: Bearer {at.token}",))


class Nginx(Peer):
    """The limit: a reverse proxy in C that checks one token and replaces the key."""

    name, does, quick = (
        "nginx",
        "checks a token, replaces the key; the provider is chosen by the path, the body is not read",
        True,
    )

    def install(self) -> str:
        return cache.run([self._binary(), "-v"]).rpartition("/")[2].split()[0]

    def _binary(self) -> str:
        found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        return found or str(cache.debian_package("nginx", "nginx", "nginx-common") / "usr" / "sbin" / "nginx")

    def launch(self, place: Path, port: int, stub: Ports) -> Launch:
        routes = "".join(
            f"    location /{mode}/ {{ if ($known = 0) {{ return 401; }} proxy_set_header Authorization $provider_key; proxy_pass http://{mode}/; }}\n"
            for mode in stub
        )
        pools = "".join(
            f"  upstream {mode} {{ server 127.0.0.1:{own}; keepalive 2048; keepalive_requests 10000000; }}\n"
            for mode, own in stub.items()
        )
        keys = {"CLIENT_KEY": _CLIENT_KEY, "PROVIDER_KEY": _PROVIDER_KEY}
        text = _filled(
            "nginx.conf", {"PLACE": str(place), "PORT": str(port), "POOLS": pools, "ROUTES": routes, **keys}
        )
        (place / "nginx.conf").write_text(text, "utf-8")
        return Launch((self._binary(), "-c", place / "nginx.conf", "-p", place, "-e", place / "error.log"))

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(at.port, f"/{mode}/v1/chat/completions", mode, (f"Authorization: Bearer {at.token}",))


class Holdfast(Peer):
    """Ours, with everything on: token, session, pin, evidence, journal, metrics."""

    name, does, quick = (
        "holdfast",
        "everything on: token, session, pin, evidence, recovery, journal, metrics",
        True,
    )

    def install(self) -> str:
        return version("holdfast-llm")

    def launch(self, place: Path, port: int, stub: Ports) -> Launch:
        tables = [
            f'[provider.stub-{mode}]\nurl = "http://127.0.0.1:{own}/v1"\nmodels = ["{_ANSWERS}"]\nkeys = ["env:HOLDFAST_BENCH_KEY"]\n'
            for mode, own in stub.items()
        ]
        (place / "holdfast.toml").write_text("\n".join(tables), "utf-8")
        return Launch(
            (sys.executable, "-m", "holdfast", "serve", "--listen", f"127.0.0.1:{port}", "--json"),
            {"HOLDFAST_HOME": str(place), "HOLDFAST_BENCH_KEY": _PROVIDER_KEY},
        )

    def address(self, port: int, said: str) -> Address | None:  # noqa: ARG002
        told = next(
            (json.loads(line) for line in said.splitlines() if line.startswith("{") and '"token"' in line),
            None,
        )
        return Address(int(re.findall(r":(\d+)", told["url"])[-1]), told["token"]) if told else None

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(
            at.port,
            "/v1/chat/completions",
            f"stub-{mode}/{_ANSWERS}",
            (f"Authorization: Bearer {at.token}", "holdfast-session: bench-{}"),
        )


class TensorZero(Peer):
    """The Rust gateway. It is released as a container image; the Python package carries the same gateway as a
    library that listens."""

    name, does = (
        "tensorzero",
        "reads and writes anew every answer and event; observability off, so it needs no database, and no token is checked (that needs one)",
    )

    def install(self) -> str:
        return cache.version_of(self._python(), "tensorzero")

    def _python(self) -> Path:
        return cache.python_with("tensorzero", "tensorzero")

    def launch(self, place: Path, port: int, stub: Ports) -> Launch:  # noqa: ARG002 - it chooses a free port itself
        tables = [
            f'[models.{mode}]\nrouting = ["stub"]\n[models.{mode}.providers.stub]\ntype = "openai"\nmodel_name = "{mode}"\n'
            f'api_base = "http://127.0.0.1:{own}/v1/"\napi_key_location = "env::PROVIDER_KEY"\n'
            for mode, own in stub.items()
        ]
        (place / "tensorzero.toml").write_text(
            "[gateway]\nobservability.enabled = false\n" + "".join(tables), "utf-8"
        )
        return Launch(
            (self._python(), _OWN / "tensorzero_serve.py", place / "tensorzero.toml"),
            {"PROVIDER_KEY": _PROVIDER_KEY},
        )

    def address(self, port: int, said: str) -> Address | None:  # noqa: ARG002
        told = re.search(r"^http://127\.0\.0\.1:(\d+)", said, re.MULTILINE)
        return Address(int(told[1])) if told else None

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(at.port, "/openai/v1/chat/completions", f"tensorzero::model_name::{mode}", ())


class Portkey(Peer):
    """The Node.js gateway. It takes the provider from headers, and checks no token of its own."""

    name, does = "portkey", "takes provider, host and key from headers; the open-source build checks no token"

    def install(self) -> str:
        told: dict[str, str] = json.loads((self._package() / "package.json").read_text("utf-8"))
        return f"{told['version']} on node {cache.run(['node', '--version']).lstrip('v')}"

    def _package(self) -> Path:
        return cache.npm_package("portkey", "@portkey-ai/gateway")

    def launch(self, place: Path, port: int, stub: Ports) -> Launch:  # noqa: ARG002 - the host stands in a header
        start = self._package() / "build" / "start-server.js"
        argv = ("node", "--import", _OWN / "portkey_preload.mjs", start, "--headless", f"--port={port}")
        return Launch(argv, {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})

    def target(self, mode: str, at: Address, stub: Ports) -> Target:
        host = f"x-portkey-custom-host: http://127.0.0.1:{stub[mode]}/v1"
        return Target(
            at.port,
            "/v1/chat/completions",
            mode,
            (f"Authorization: Bearer {_PROVIDER_KEY}", "x-portkey-provider: openai", host),
        )


class LiteLLM(Peer):
    """The Python proxy: one worker, production settings, no database, no callbacks."""

    name, does, patience = (
        "litellm",
        "checks the master key, routes by the body's model, replaces the key; no database, no callbacks, one worker",
        120.0,
    )

    def install(self) -> str:
        return cache.version_of(self._python(), "litellm")

    def _python(self) -> Path:
        return cache.python_with("litellm", "litellm[proxy]")

    def launch(self, place: Path, port: int, stub: Ports) -> Launch:
        models = [
            {
                "model_name": mode,
                "litellm_params": {
                    "model": f"openai/{mode}",
                    "api_base": f"http://127.0.0.1:{own}/v1",
                    "api_key": _PROVIDER_KEY,
                },
            }
            for mode, own in stub.items()
        ]
        settings = {
            "model_list": models,
            "general_settings": {"master_key": _CLIENT_KEY},
            "litellm_settings": {
                "num_retries": 0,
                "request_timeout": 600,
                "callbacks": [],
                "telemetry": False,
            },
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        (place / "litellm.yaml").write_text(json.dumps(settings), "utf-8")  # JSON is YAML
        argv = (
            self._python().parent / "litellm",
            "--config",
            place / "litellm.yaml",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        )
        return Launch(
            argv,
            {
                "LITELLM_LOG": "ERROR",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_MODE": "PRODUCTION",
                "NO_DOCS": "True",
            },
        )


def _filled(template: str, values: Mapping[str, str]) -> str:
    """One of our templates with its @NAMES@ replaced."""
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], (_OWN / template).read_text("utf-8"))


EVERYBODY: dict[str, Peer] = {
    one.name: one for one in (Direct(), Nginx(), Holdfast(), TensorZero(), Portkey(), LiteLLM())
}
