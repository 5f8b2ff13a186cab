"""A home, two providers and a real program, handed over by the command line; while it runs, its processes are
searched for the key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import programs

from holdfast.core.identity import Dialect
from holdfast.fake_provider import ScriptedProvider, ok, only_keys

KEY = "sk-canary-real-93b1f0d2e7a64c58"
KNOWN = (
    '{ id = "good-model", context = 150_000, output = 9_000, input = ["text", "image"], reasoning = false }'
)
"""The model that is asked for, with its limits: every program is told them in its own words."""
CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
ASK: dict[str, tuple[str, ...]] = {
    "pi": ("-p", "Say pong."),
    "pi-old": ("-p", "Say pong."),
    "claude": ("-p", "Say pong."),
    "codex": ("exec", "--skip-git-repo-check", "Say pong."),
    "opencode": ("run", "Say pong."),
    "qwen": ("Say pong.",),
    "continue": ("-p", "Say pong."),
    "copilot": ("-p", "Say pong."),
    "kimi": ("-p", "Say pong."),
    "droid": ("exec", "Say pong."),
    "kilo": ("run", "Say pong."),
    "hermes": ("chat", "-q", "Say pong."),
    "aider": ("--no-git", "--yes-always", "--message", "Say pong."),
    "llm": ("Say pong.",),
}
"""How each program is asked one thing, and ends."""
_OURS = {"pi-old": "pi"}


@dataclass(slots=True)
class Ended:
    """What came of a run, and where the key was seen meanwhile."""

    code: int
    out: str
    err: str
    leaks: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Stage:
    """One test's machine: HOME, HOLDFAST_HOME below it, a project directory, the provider, and one that
    nothing may reach."""

    folder: Path
    provider: ScriptedProvider
    evil: ScriptedProvider
    more: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home" / "holdfast"

    def url(self, dialect: Dialect, provider: ScriptedProvider | None = None) -> str:
        provider = provider or self.provider
        return provider.root if dialect is MESSAGES else provider.url

    def configure(
        self, dialect: Dialect, name: str = "mimo-plan", ref: str = "env:MIMO_KEY", more: str = ""
    ) -> None:
        """One provider of this dialect."""
        self.home.mkdir(parents=True, exist_ok=True)
        text = (
            f'{more}\n[provider.{name}]\nurl = "{self.url(dialect)}"\ndialect = "{dialect}"\n'
            f'models = [{KNOWN}, "other-model"]\nkeys = ["{ref}"]\n'
        )
        (self.home / "holdfast.toml").write_text(text)

    def environment(self, program: str) -> dict[str, str]:
        path = f"{programs.directory(program)}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        own = {
            "PATH": path,
            "HOME": str(self.folder / "home"),
            "HOLDFAST_HOME": str(self.home),
            "MIMO_KEY": KEY,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }
        return own | self.more

    def run(
        self,
        program: str,
        *arguments: str,
        pin: str | None = "mimo-plan/good-model",
        options: tuple[str, ...] = (),
    ) -> Ended:
        """`holdfast run`, watched."""
        chosen = ("--pin", pin) if pin is not None else ()
        command = [
            "holdfast",
            "run",
            _OURS.get(program, program),
            *chosen,
            *options,
            "--",
            *(arguments or ASK[program]),
        ]
        return self.start(command, self.environment(program))

    def start(self, command: list[str], environment: Mapping[str, str], seconds: float = 90.0) -> Ended:
        with (
            subprocess.Popen(
                command,
                env=dict(environment),
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            ) as process,
            _watched(process.pid) as leaks,
        ):
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                _keep(command, *process.communicate())
                raise
        _keep(command, out, err)
        return Ended(process.returncode, out, err, leaks)

    def files_with_key(self) -> list[str]:
        """Files anywhere on this stage that hold the key."""
        return [
            str(path)
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink() and KEY.encode() in path.read_bytes()
        ]


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A stage whose provider answers slowly enough to be watched."""
    for name in ("project", "home"):
        (folder / name).mkdir()
    with (
        ScriptedProvider(only_keys([KEY], ok("pong", delay=0.3)), models=["good-model"]) as provider,
        ScriptedProvider() as evil,
    ):
        yield Stage(folder, provider, evil)


def _keep(command: list[str], out: str, err: str) -> None:
    """Print what a program said: pytest shows it when the test fails."""
    sys.stdout.write(f"$ {' '.join(command)}\n{out}{err}\n")


@contextmanager
def _watched(pid: int) -> Iterator[set[str]]:
    """Search arguments and environment of every process below `pid`, again and again. Ours holds the key, and
    is left out."""
    leaks: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            ours = _proc_file(pid, "cmdline")
            for child in _below(pid):
                if (
                    _proc_file(child, "cmdline") == ours
                ):  # forked and not begun yet: it still shows our own environment
                    continue
                for what in ("cmdline", "environ"):
                    text = _proc_file(child, what)
                    leaks.update(
                        part.partition(b"=")[0].decode() for part in text.split(b"\0") if KEY.encode() in part
                    )
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield leaks
    finally:
        over.set()
        thread.join()


def _proc_file(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def _below(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(deeper for child in children for deeper in _below(child))]
