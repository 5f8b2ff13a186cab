"""One class for each scheme of a reference. `peek` returns its secret if that costs nothing, `read` reads it.

`read` raises Unreadable with a reason for a message: paths, exit codes and redacted text, never a value."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from .._files import NotRead, quoted, read_regular, stamp
from ..core.secret import Secret
from .secrets_file import SecretsFile

if TYPE_CHECKING:
    import subprocess

LONGEST = 64 * 1024
"""The most bytes that are read from a file or from a program."""
_POLL_INTERVAL = 0.05

Run = Callable[[Sequence[str], float], tuple[int, bytes, bytes]]
"""Runs a program without a shell: (argv, seconds) -> (exit code, stdout, stderr). Raises OSError or
TimeoutError."""


class Unreadable(Exception):
    """A source gave no secret; the text says why."""


class SignInOver(Unreadable):
    """The sign-in behind a key has ended; its user has to sign in again."""


class RenewalFailed(Unreadable):
    """The sign-in behind a key could not be renewed now; a later attempt may succeed. `retry_at` says from
    when (epoch seconds); None: at once."""

    def __init__(self, reason: str, retry_at: float | None = None) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class Source(Protocol):
    """The source of one key."""

    def peek(self) -> Secret | None:
        """Return the secret if that needs no file, program or keyring, else None."""

    def read(self) -> Secret:
        """Read the secret again, whatever is cached. Raises Unreadable."""

    def note(self) -> str:
        """Return a warning for `doctor` about this source; empty when there is none."""


def secret_of(text: str) -> Secret:
    """Return `text` as a secret. Raises Unreadable for text that cannot be one."""
    try:
        return Secret(text)
    except ValueError as error:
        reason = str(error).replace("a secret", "its value")
    raise Unreadable(reason)  # out here, so that it brings no frame with the text along


class EnvSource:
    """`env:NAME`. The variable is read every time: a changed variable is a changed key."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self._name, self._environ = name, environ
        self._seen: int | None = None
        self._secret: Secret | None = None

    def peek(self) -> Secret | None:
        text = self._environ.get(self._name)
        seen = None if text is None else hash(text)  # the text itself is not kept
        if seen != self._seen:
            self._seen, self._secret = seen, None
            if text is not None:
                with suppress(ValueError):
                    self._secret = Secret(text)
        return self._secret

    def read(self) -> Secret:
        secret = self.peek()
        if secret is not None:
            return secret
        if self._seen is None:
            raise Unreadable("not set in this environment")
        return secret_of(self._environ.get(self._name, ""))

    def note(self) -> str:
        return ""


class FileSource:
    """`file:PATH`: the first 64 KiB of a regular file, without surrounding white space. Cached while its
    stamp is unchanged."""

    def __init__(self, path: str) -> None:
        self._path = os.path.expanduser(path)
        self._stamp: tuple[int, int, int] | None = None
        self._secret: Secret | None = None

    def peek(self) -> Secret | None:
        if self._secret is None or stamp(self._path) != self._stamp:
            return None
        return self._secret

    def read(self) -> Secret:
        self._secret, self._stamp = None, stamp(self._path)
        try:
            text = read_regular(self._path, LONGEST).decode()
        except NotRead as reason:
            raise Unreadable(str(reason)) from None
        except OSError as error:
            raise Unreadable(error.strerror or "cannot be read") from None
        except UnicodeDecodeError:
            raise Unreadable("not UTF-8 text") from None
        self._secret = secret_of(text)
        return self._secret

    def note(self) -> str:
        try:
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
        except OSError:
            return ""
        if not mode & 0o077:
            return ""
        return f"{self._path} can be read by others (mode {mode:04o}): chmod 600 {quoted(self._path)}"


class StoreSource:
    """`store:LABEL`: our own secrets.toml, in the table of the key's provider."""

    def __init__(self, file: SecretsFile, provider: str, label: str) -> None:
        self._file, self._provider, self._label = file, provider, label

    def peek(self) -> Secret | None:
        return self._file.cached(self._provider, self._label)

    def read(self) -> Secret:
        secret = self._file.get(self._provider, self._label)
        if secret is not None:
            return secret
        reason = f"not in {self._file.path}"
        aside = self._file.quarantined()
        if aside:
            reason += f" (an older file that could not be parsed is kept as {aside[-1]})"
        raise Unreadable(reason)

    def note(self) -> str:
        return FileSource(str(self._file.path)).note()


def run_program(argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
    """Run a program that has no terminal and no input, until it ends; this is the real `Run`.

    The end of its output is not waited for: a process that it leaves running (an agent, for example) may keep
    the output open for ever. After `seconds`, or when it prints too much, it is killed with its children."""
    import signal
    import subprocess

    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = _output(process, time.monotonic() + seconds)
    finally:
        if process.poll() is None:
            with suppress(OSError):  # it may have ended this very moment
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return process.returncode, out, err


def _output(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Read the output of a program until it ends, a little more than `LONGEST` bytes at most. Raises
    TimeoutError."""
    import selectors

    outputs = {pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe is not None}
    out, err = outputs.values()
    with selectors.DefaultSelector() as selector:
        for pipe, output in outputs.items():
            selector.register(pipe, selectors.EVENT_READ, output)
        wait = _POLL_INTERVAL  # 0 once the program has ended: what it printed last may still be in the pipes
        while len(out) <= LONGEST:
            ready = selector.select(wait)
            for source, _ in ready:
                piece = os.read(source.fd, LONGEST)
                if not piece:
                    selector.unregister(source.fileobj)
                elif len(source.data) <= LONGEST:
                    source.data.extend(piece)
            if not wait and not ready:
                break
            if time.monotonic() > deadline:
                raise TimeoutError
            if process.poll() is not None:
                wait = 0
    return bytes(out), bytes(err)
