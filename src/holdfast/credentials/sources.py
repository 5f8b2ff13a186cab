"""One class per scheme of a reference: what it knows at no cost (`peek`), and how it reads its secret
(`read`).

`read` raises Unread with a reason fit for a message: it names places, exit codes and redacted words, never a
value."""

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
_LOOK_EVERY = 0.05

Run = Callable[[Sequence[str], float], tuple[int, bytes, bytes]]
"""Runs a program without a shell: (argv, seconds) -> (exit code, stdout, stderr). Raises OSError or
TimeoutError."""


class Unread(Exception):
    """A source did not yield a secret; the text says why."""


class Ended(Unread):
    """The sign-in behind a key is over: only its user can begin another."""


class NotRenewed(Unread):
    """The sign-in behind a key could not be renewed now; it may be a little later."""


class Source(Protocol):
    """Where one key is kept."""

    def peek(self) -> Secret | None:
        """The secret if it is known right now without reading a file, running a program or asking a
        keyring."""

    def read(self) -> Secret:
        """The secret, read anew. Raises Unread."""

    def note(self) -> str:
        """What `doctor` should say about this source; empty when all is well."""


def secret_of(text: str) -> Secret:
    """`text` as a secret. Raises Unread for what cannot be one."""
    try:
        return Secret(text)
    except ValueError as error:
        raise Unread(str(error).replace("a secret", "its value")) from None


class EnvSource:
    """`env:NAME`. The environment is looked at every time: a changed variable is a changed key."""

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self._name, self._environ = name, environ
        self._text: str | None = None
        self._secret: Secret | None = None

    def peek(self) -> Secret | None:
        text = self._environ.get(self._name)
        if text != self._text:
            self._text, self._secret = text, None
            if text is not None:
                with suppress(ValueError):
                    self._secret = Secret(text)
        return self._secret

    def read(self) -> Secret:
        found = self.peek()
        if found is not None:
            return found
        if self._text is None:
            raise Unread("not set in this environment")
        return secret_of(self._text)

    def note(self) -> str:
        return ""


class FileSource:
    """`file:PATH`: the first 64 KiB of a regular file, without surrounding white space. Kept while its stamp
    is unchanged."""

    def __init__(self, path: str) -> None:
        self._path = os.path.expanduser(path)
        self._stamp: tuple[int, int, int] | None = None
        self._secret: Secret | None = None

    def peek(self) -> Secret | None:
        return self._secret if self._secret is not None and stamp(self._path) == self._stamp else None

    def read(self) -> Secret:
        self._secret, self._stamp = None, stamp(self._path)
        try:
            text = read_regular(self._path, LONGEST).decode()
        except NotRead as reason:
            raise Unread(str(reason)) from None
        except OSError as error:
            raise Unread(error.strerror or "cannot be read") from None
        except UnicodeDecodeError:
            raise Unread("not UTF-8 text") from None
        self._secret = secret_of(text)
        return self._secret

    def note(self) -> str:
        try:
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
        except OSError:
            return ""
        return (
            f"{self._path} can be read by others (mode {mode:04o}): chmod 600 {quoted(self._path)}"
            if mode & 0o077
            else ""
        )


class StoreSource:
    """`store:LABEL`: our own secrets.toml, in the table of the key's provider."""

    def __init__(self, file: SecretsFile, provider: str, label: str) -> None:
        self._file, self._provider, self._label = file, provider, label

    def peek(self) -> Secret | None:
        return self._file.held(self._provider, self._label)

    def read(self) -> Secret:
        found = self._file.get(self._provider, self._label)
        if found is not None:
            return found
        aside = self._file.quarantined()
        raise Unread(
            f"not in {self._file.path}"
            + (f" (an older file that could not be understood is kept as {aside[-1]})" if aside else "")
        )

    def note(self) -> str:
        return FileSource(str(self._file.path)).note()


def run_program(argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
    """The real `Run`. The program has no terminal and no input. It has answered when it has ended: what it
    leaves running (an agent, say) may hold its output open for ever. On a timeout, or when it prints too
    much, it is ended together with its children."""
    import signal
    import subprocess

    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = _said(process, time.monotonic() + seconds)
    finally:
        if process.poll() is None:
            with suppress(OSError):  # it may have ended this very moment
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return process.returncode, out, err


def _said(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """What a program prints until it ends, a little more than `LONGEST` at most. Raises TimeoutError."""
    import selectors

    said = {pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe is not None}
    out, err = said.values()
    with selectors.DefaultSelector() as waiting:
        for pipe, text in said.items():
            waiting.register(pipe, selectors.EVENT_READ, text)
        ended = False
        while len(out) <= LONGEST:
            ready = waiting.select(0 if ended else _LOOK_EVERY)
            for source, _ in ready:
                piece = os.read(source.fd, LONGEST)
                if not piece:
                    waiting.unregister(source.fileobj)
                elif len(source.data) <= LONGEST:
                    source.data.extend(piece)
            if ended and not ready:
                break
            if time.monotonic() > deadline:
                raise TimeoutError
            ended = process.poll() is not None
    return bytes(out), bytes(err)
