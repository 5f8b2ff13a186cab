"""A gateway as its users run it: a child process on a port of its own, with scripted providers behind it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from children import Popen

CHAT = "/v1/chat/completions"


def write_config(home: Path, text: str) -> None:
    """Replace holdfast.toml at once, as our own editing does."""
    home.mkdir(mode=0o700, exist_ok=True)
    draft = home / "draft.toml"
    draft.write_text(text, "utf-8")
    draft.chmod(0o600)
    draft.replace(home / "holdfast.toml")


def provider(name: str, url: str, *, keys: Sequence[str] = (), models: Sequence[str] = ("m",)) -> str:
    """A table of holdfast.toml; without keys it takes none."""
    auth = "" if keys else 'auth = "none"\n'
    return (
        f'[provider.{name}]\nurl = "{url}"\nmodels = {json.dumps([*models])}\n'
        f"keys = {json.dumps([*keys])}\n{auth}"
    )


class Served:
    """One running `holdfast serve`. Where the start itself matters, `start` is subprocess.Popen."""

    def __init__(
        self,
        home: Path,
        *options: str,
        environ: Mapping[str, str] | None = None,
        token: str | None = None,
        cwd: Path | None = None,
        start: Callable[..., Any] = Popen,
    ) -> None:
        self.home = home
        self.process = start(
            [sys.executable, "-m", "holdfast", "serve", "--listen", "127.0.0.1:0", "--json", *options],
            env={**os.environ, "HOLDFAST_HOME": str(home), **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
        )
        self._said: queue.Queue[bytes] = queue.Queue()
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        first = self._said.get(timeout=20)
        assert first, f"it ended with {self.process.wait()}: {''.join(self.errors)}"
        self.told: dict[str, Any] = json.loads(first)
        self.token: str = token or self.told.get("token", "")
        self.port: int = urlsplit(self.told["url"]).port or 0
        self.client = self.new_client()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put(b"")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode())

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log so far; every line of it is JSON."""
        return [json.loads(line) for line in [*self.errors]]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    def ask(
        self, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        """One request; on a connection that is kept, as clients do."""
        method = "POST" if body is not None else "GET"
        try:
            return self.client.request(method, path, json=body, headers=self._headers(token, headers))
        except httpx2.TransportError:
            if body is not None:
                raise
            self.client.close()  # its worker is gone; to look again changes nothing
            self.client = self.new_client()
            return self.client.request(method, path, headers=self._headers(token, headers))

    def chat(self, model: str = "p/m", *, token: str | None = None, **headers: str) -> httpx2.Response:
        return self.ask(
            CHAT, {"model": model, "messages": [{"role": "user", "content": "hi"}]}, token=token, **headers
        )

    @contextlib.contextmanager
    def stream(self, model: str = "p/m") -> Iterator[httpx2.Response]:
        """A stream whose head has come, on a connection of its own."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        with (
            self.new_client() as client,
            client.stream("POST", CHAT, json=body, headers=self._headers(None, {})) as answer,
        ):
            yield answer

    def alive(self) -> bool:
        """Whether a new connection is answered, by whichever worker."""
        with self.new_client() as client:
            return client.get("/health/live").status_code == 200

    def new_client(self) -> httpx2.Client:
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)

    def _headers(self, token: str | None, more: Mapping[str, str]) -> dict[str, str]:
        token = self.token if token is None else token
        return ({"authorization": f"Bearer {token}"} if token else {}) | {
            name.replace("_", "-"): value for name, value in more.items()
        }

    def metrics(self) -> dict[str, float]:
        page = self.ask("/metrics")
        assert page.status_code == 200, page.text
        pairs = (
            re.fullmatch(r"holdfast_(\w+(?:\{.*\})?) (\S+)", line)
            for line in page.text.splitlines()
            if not line.startswith("#")
        )
        return {match[1]: float(match[2]) for match in pairs if match is not None}

    def workers(self) -> list[dict[str, Any]]:
        return self.ask("/holdfast/status").json()["workers"]

    def end(self, how: int = signal.SIGTERM, patience: float = 20.0) -> int:
        """Tell it to end; its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(patience)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code


@contextlib.contextmanager
def serving(home: Path, *options: str, **more: Any) -> Iterator[Served]:
    """A gateway for the length of a block."""
    served = Served(home, *options, **more)
    try:
        yield served
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.end(patience=10)
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait()


def eventually(holds: Callable[[], Any], within: float = 5.0) -> Any:
    """What `holds` gives as soon as it is true. Fails after `within` seconds."""
    until = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)
    return value
