"""One class for each scheme of a reference. `peek` returns its secret if that costs nothing, `read` reads it.

`read` raises Unreadable with a reason for a message: paths, exit codes and redacted text, never a value."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from errno import EAGAIN, EBUSY, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ESTALE, ETIMEDOUT
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .._files import NotRead, changes_soon, quoted, read_regular, stamp
from ..core.errors import ConfigError
from ..values.secret import Secret
from .given_files import is_given
from .secrets_file import SecretsFile

if TYPE_CHECKING:
    import subprocess

LONGEST = 64 * 1024
"""The most bytes that are read from a file or from a program."""
_POLL_INTERVAL = 0.05
_KILLED = 1.0
"""Seconds to wait for the end of a program that was killed; one of another user is not."""
_LOOKS = 5
"""How often a file is read that holds no key and changes meanwhile."""
PASSING = frozenset({EAGAIN, EBUSY, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ESTALE, ETIMEDOUT})
"""The errors of a system or of its disk that say nothing about the file."""
_NO_STAMP = (0, 0, 0)

Run = Callable[[Sequence[str], float], tuple[int, bytes, bytes]]
"""Runs a program without a shell: (argv, seconds) -> (exit code, stdout, stderr). Raises OSError or
TimeoutError."""


class Unreadable(Exception):
    """A source gave no secret; the text says why."""


class Silent(Unreadable):
    """A source gives nothing now, and may later without anybody's doing: that refuses no key. It is asked
    again from `retry_at` on (epoch seconds; None: at once; infinite: it is not worth waiting for); meanwhile
    `peek` gives its last value, if that may still be good. `next_step` is a command for its user."""

    def __init__(self, reason: str, retry_at: float | None = None, *, next_step: str = "") -> None:
        super().__init__(reason)
        self.retry_at, self.next_step = retry_at, next_step


class Gone(Unreadable):
    """A secret was taken out of its source, and its last value with it."""


class RenewalFailed(Silent):
    """The sign-in behind a key could not be renewed now; a later attempt may succeed."""


class SignInOver(Unreadable):
    """The sign-in behind a key has ended; its user has to sign in again."""


class Source(Protocol):
    """The source of one key."""

    def peek(self) -> Secret | None:
        """Return the secret if that needs no file, program or keyring, else None."""

    def read(self, refused: Secret | None = None) -> Secret:
        """Read the secret again, whatever is cached, but for one that others have renewed since `refused` was
        refused. Raises Unreadable, Silent where it may pass, ConfigError where our own file cannot be
        read."""

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

    def read(self, refused: Secret | None = None) -> Secret:  # noqa: ARG002
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
    stamp is unchanged. `part` takes the key out of the text. A file that is empty is being written, and is
    read again in a moment."""

    def __init__(self, path: str, part: Callable[[str], str] | None = None) -> None:
        self._path, self._part = os.path.expanduser(path), part
        self._stamp: tuple[int, int, int] | None = None
        self._secret: Secret | None = None
        self._waited_for: tuple[int, int, int] | None = _NO_STAMP

    def peek(self) -> Secret | None:
        if self._secret is None or stamp(self._path) != self._stamp:
            return None
        return self._secret

    def read(self, refused: Secret | None = None) -> Secret:  # noqa: ARG002
        unread = Unreadable("it keeps changing")
        for _ in range(_LOOKS):
            self._stamp = stamp(self._path)
            try:
                self._secret = self._value()
                return self._secret
            except Unreadable as reason:
                unread = reason
            if self._stamp == self._waited_for or not changes_soon(self._path, self._stamp):
                break
        self._waited_for = self._stamp
        if not isinstance(unread, Silent):
            self._secret = None
        raise unread

    def _value(self) -> Secret:
        try:
            text = read_regular(self._path, LONGEST).decode("utf-8-sig")
        except NotRead as reason:
            raise Unreadable(str(reason)) from None
        except OSError as error:
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            passing = error.errno in PASSING or (self._secret is not None and not gone)
            kind = Silent if passing else Unreadable
            raise kind(error.strerror or "cannot be read") from None
        except UnicodeDecodeError:
            raise Unreadable("not UTF-8 text") from None
        if not text.strip():
            raise Silent("its value cannot be empty")
        if self._part is not None:
            text = self._part(text)
        return secret_of(text)

    def note(self) -> str:
        path = Path(self._path)
        try:
            status = path.stat()
            given = is_given(path, status)
        except OSError:
            return ""
        mode = stat.S_IMODE(status.st_mode)
        if not mode & 0o077 or (given and not mode & 0o027):
            return ""
        if given:
            step = f"ls -lL {quoted(path)}   (mount it with mode 0440; in Kubernetes: defaultMode)"
            return f"{path} can be read by others (mode {mode:04o}): {step}"
        return f"{self._path} can be read by others (mode {mode:04o}): chmod 600 {quoted(self._path)}"


class StoreSource:
    """`store:LABEL`: our own secrets.toml, in the table of the key's provider."""

    def __init__(self, file: SecretsFile, provider: str, label: str) -> None:
        self._file, self._provider, self._label = file, provider, label
        self._secret: Secret | None = None
        self._silent_at: tuple[int, int, int] | None = _NO_STAMP

    def peek(self) -> Secret | None:
        secret = self._file.cached(self._provider, self._label)
        if secret is None and stamp(self._file.path) == self._silent_at:
            return self._secret
        return secret

    def read(self, refused: Secret | None = None) -> Secret:  # noqa: ARG002
        try:
            secret = self._file.get(self._provider, self._label)
        except ConfigError:
            self._silent_at = stamp(self._file.path)
            raise
        now = stamp(self._file.path)
        if secret is None and now is not None and now[1] == 0:  # we never write an empty one
            self._silent_at = now
            raise Silent(f"{self._file.path} is empty")
        self._secret, self._silent_at = secret, _NO_STAMP
        if secret is not None:
            return secret
        raise Unreadable(f"not in {self._file.path}{self._file.aside()}")

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
            with suppress(OSError):  # it may have ended this very moment, or be another user's (sudo)
                os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # then `subprocess` takes note of its end later
            process.wait(_KILLED)
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
