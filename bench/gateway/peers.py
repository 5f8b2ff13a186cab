"""The peers that are measured: how each is installed, started with the same providers behind it, and
addressed.

Every peer does as much of the gateway's job as it can be configured to do, as `does` describes. The keys are
invented, and nothing leaves the machine.
"""

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
CLIENT_KEY, PROVIDER_KEY = "sk-bench-client-0001", "sk-bench-provider-0001"
_ANSWERS = "stub"
"""The model that the stub provider names in its answers: ours asks for it by this name, since a different one
would be recorded each time."""
_NGINX_POOL = """\
  upstream {mode} {{ server 127.0.0.1:{port}; keepalive 2048; keepalive_requests 10000000; }}
"""
_NGINX_ROUTE = """\
    location /{mode}/ {{
      if ($known = 0) {{ return 401; }}
      proxy_set_header Authorization $provider_key;
      proxy_pass http://{mode}/;
    }}
"""
_HOLDFAST_PROVIDER = """\
[provider.stub-{mode}]
url = "http://127.0.0.1:{port}/v1"
models = ["{model}"]
keys = ["env:HOLDFAST_BENCH_KEY"]
"""
_TENSORZERO_MODEL = """\
[models.{mode}]
routing = ["stub"]
[models.{mode}.providers.stub]
type = "openai"
model_name = "{mode}"
api_base = "http://127.0.0.1:{port}/v1/"
api_key_location = "env::PROVIDER_KEY"
"""
Ports = Mapping[str, int]
"""The stub provider's port for each mode, which is a way of answering (c/stub.c)."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The command and the environment that start a peer."""

    argv: tuple[str | Path, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """The port on which a started peer listens, and the token that its clients send."""

    port: int
    token: str = CLIENT_KEY


@dataclass(frozen=True, slots=True)
class Target:
    """The target of the load generator: port, path, model and headers. "{}" in a header becomes the
    connection's number."""

    port: int
    path: str
    model: str
    headers: tuple[str, ...]


class Peer(ABC):
    """A peer. `patience` is the seconds that it may take to start; `quick` peers need no installation."""

    name: ClassVar[str]
    does: ClassVar[str]
    patience: ClassVar[float] = 20.0
    quick: ClassVar[bool] = False

    @abstractmethod
    def install(self) -> str:
        """Install it if need be. Return its version. Raises `cache.NotInstalled`."""

    @abstractmethod
    def launch(self, home: Path, port: int, stub: Ports) -> Launch | None:
        """Write its configuration into `home`. Return the command that starts it, None if there is none."""

    # Most peers listen on the port that they are given.
    def address(self, port: int, output: str) -> Address | None:  # noqa: ARG002
        """Return its address, by the port that it was given or its output so far; None while it is
        unknown."""
        return Address(port)

    # Only some peers need the ports of the stub provider.
    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        """Return the target of requests through it that are answered in this mode."""
        return Target(at.port, "/v1/chat/completions", mode, (bearer(at.token),))


class Direct(Peer):
    """No gateway at all, for comparison with the others' latencies."""

    name, does, quick = "direct", "no gateway: the load generator asks the provider", True

    def install(self) -> str:
        return ""

    def launch(self, home: Path, port: int, stub: Ports) -> Launch | None:  # noqa: ARG002
        return None

    def target(self, mode: str, at: Address, stub: Ports) -> Target:
        return Target(stub[mode], "/v1/chat/completions", mode, (bearer(at.token),))


class Nginx(Peer):
    """The lower limit of costs: a reverse proxy in C that checks one token and replaces the key."""

    name, quick = "nginx", True
    does = "checks a token, replaces the key; the provider is chosen by the path, the body is not read"

    def install(self) -> str:
        return cache.run([self._binary(), "-v"]).rpartition("/")[2].split()[0]

    def _binary(self) -> str:
        installed = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        return installed or str(
            cache.debian_package("nginx", "nginx", "nginx-common") / "usr" / "sbin" / "nginx"
        )

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        values = {
            "HOME": str(home),
            "PORT": str(port),
            "POOLS": "".join(_NGINX_POOL.format(mode=mode, port=own) for mode, own in stub.items()),
            "ROUTES": "".join(_NGINX_ROUTE.format(mode=mode) for mode in stub),
            "CLIENT_KEY": CLIENT_KEY,
            "PROVIDER_KEY": PROVIDER_KEY,
        }
        (home / "nginx.conf").write_text(_filled("nginx.conf", values), "utf-8")
        return Launch((self._binary(), "-c", home / "nginx.conf", "-p", home, "-e", home / "error.log"))

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(at.port, f"/{mode}/v1/chat/completions", mode, (bearer(at.token),))


class Holdfast(Peer):
    """Ours, with everything on: token, session, pin, evidence, journal, metrics."""

    name, quick = "holdfast", True
    does = "everything on: token, session, pin, evidence, recovery, journal, metrics"
    settings: ClassVar[Mapping[str, str]] = {}

    def install(self) -> str:
        return version("holdfast-llm")

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        tables = [
            _HOLDFAST_PROVIDER.format(mode=mode, port=own, model=_ANSWERS) for mode, own in stub.items()
        ]
        (home / "holdfast.toml").write_text("\n".join(tables), "utf-8")
        return Launch(
            (sys.executable, "-P", "-m", "holdfast", "serve", "--listen", f"127.0.0.1:{port}", "--json"),
            {"HOLDFAST_HOME": str(home), "HOLDFAST_BENCH_KEY": PROVIDER_KEY, **self.settings},
        )

    def address(self, port: int, output: str) -> Address | None:  # noqa: ARG002
        for line in output.splitlines():
            if line.startswith("{") and '"token"' in line:
                announcement = json.loads(line)
                return Address(int(re.findall(r":(\d+)", announcement["url"])[-1]), announcement["token"])
        return None

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(
            at.port,
            "/v1/chat/completions",
            f"stub-{mode}/{_ANSWERS}",
            (bearer(at.token), "holdfast-session: bench-{}"),
        )


class TensorZero(Peer):
    """The Rust gateway. It is released as a container image; the Python package contains the same gateway as
    a library that listens."""

    name = "tensorzero"
    does = (
        "parses and writes every answer and event; observability off, so it needs no database;"
        " no token is checked (that needs one)"
    )

    def install(self) -> str:
        return cache.version_of(self._python(), "tensorzero")

    def _python(self) -> Path:
        return cache.environment_of("bench-tensorzero") / "bin" / "python"

    # It chooses a free port itself.
    def launch(self, home: Path, port: int, stub: Ports) -> Launch:  # noqa: ARG002
        tables = [_TENSORZERO_MODEL.format(mode=mode, port=own) for mode, own in stub.items()]
        text = "".join(["[gateway]\nobservability.enabled = false\n", *tables])
        (home / "tensorzero.toml").write_text(text, "utf-8")
        return Launch(
            (self._python(), _OWN / "tensorzero_serve.py", home / "tensorzero.toml"),
            {"PROVIDER_KEY": PROVIDER_KEY},
        )

    def address(self, port: int, output: str) -> Address | None:  # noqa: ARG002
        match = re.search(r"^http://127\.0\.0\.1:(\d+)", output, re.MULTILINE)
        if match is None:
            return None
        return Address(int(match[1]))

    def target(self, mode: str, at: Address, stub: Ports) -> Target:  # noqa: ARG002
        return Target(at.port, "/openai/v1/chat/completions", f"tensorzero::model_name::{mode}", ())


class Portkey(Peer):
    """The Node.js gateway. It takes the provider from headers, and checks no token."""

    name, does = "portkey", "takes provider, host and key from headers; the open-source build checks no token"

    def install(self) -> str:
        package: dict[str, str] = json.loads((self._package() / "package.json").read_text("utf-8"))
        return f"{package['version']} on node {cache.run(['node', '--version']).lstrip('v')}"

    def _package(self) -> Path:
        return cache.environment_of("bench-portkey") / "node_modules" / "@portkey-ai" / "gateway"

    # A header names the provider's host.
    def launch(self, home: Path, port: int, stub: Ports) -> Launch:  # noqa: ARG002
        start = self._package() / "build" / "start-server.js"
        argv = ("node", "--import", _OWN / "portkey_preload.mjs", start, "--headless", f"--port={port}")
        return Launch(argv, {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})

    def target(self, mode: str, at: Address, stub: Ports) -> Target:
        host = f"x-portkey-custom-host: http://127.0.0.1:{stub[mode]}/v1"
        return Target(
            at.port,
            "/v1/chat/completions",
            mode,
            (bearer(PROVIDER_KEY), "x-portkey-provider: openai", host),
        )


class LiteLLM(Peer):
    """The Python proxy: one worker, production settings, no database, no callbacks."""

    name, patience = "litellm", 120.0
    does = (
        "checks the master key, routes by the body's model, replaces the key; no database, no callbacks, one"
        " worker"
    )

    def install(self) -> str:
        return cache.version_of(self._python(), "litellm")

    def _python(self) -> Path:
        return cache.environment_of("litellm") / "bin" / "python"

    def launch(self, home: Path, port: int, stub: Ports) -> Launch:
        models = [
            {
                "model_name": mode,
                "litellm_params": {
                    "model": f"openai/{mode}",
                    "api_base": f"http://127.0.0.1:{own}/v1",
                    "api_key": PROVIDER_KEY,
                },
            }
            for mode, own in stub.items()
        ]
        settings = {
            "model_list": models,
            "general_settings": {"master_key": CLIENT_KEY},
            "litellm_settings": {
                "num_retries": 0,
                "request_timeout": 600,
                "callbacks": [],
                "telemetry": False,
            },
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        (home / "litellm.yaml").write_text(json.dumps(settings), "utf-8")  # JSON is YAML
        program = self._python().parent / "litellm"
        options = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
        environ = {
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "NO_DOCS": "True",
        }
        return Launch((program, "--config", home / "litellm.yaml", *options), environ)


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Return one of our templates with its @NAMES@ replaced."""
    return re.sub(r"@(\w+)@", lambda match: values[match[1]], (_OWN / template).read_text("utf-8"))


PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (Direct(), Nginx(), Holdfast(), TensorZero(), Portkey(), LiteLLM())
}
