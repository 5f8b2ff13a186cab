"""Puts a plan into effect: a private directory with its files, an environment without anybody's keys, and the
files gone again.

Never touches the program's own configuration (`connect` does, and undoes it), and never writes a secret into
a file."""

from __future__ import annotations

import json
import os
import re
import stat
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, unquote_plus

from .._files import make_private_directory, open_lock, take_lock
from ..core.errors import CannotHandOver, ConfigError
from ..core.secret import Secret
from .base import Handover
from .environment import inherited, no_proxy_with_loopback, overriding_lines

Write = Callable[[Path, str], None]
"""Replaces a file whole, mode 0600, durable. Raises ConfigError."""
_MANIFEST = ".holdfast.json"
_LOCK = ".holdfast.lock"
_BASE64, _HEX = re.compile(r"[A-Za-z0-9+/_-]{4,}"), re.compile(r"[0-9A-Fa-f]{2,}")


@contextmanager
def claimed(directory: Path, session: str) -> Iterator[None]:
    """The private directory of one run, 0700, for this process alone. Raises CannotHandOver while another run
    has it, ConfigError when it cannot be made or is not ours."""
    _make_private(directory)
    with _opened(directory / _LOCK) as lock:
        if not take_lock(lock):
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "another process"
            what = f"session '{session}' is running already (process {holder}): two programs would write one history"
            raise CannotHandOver(what, next_step="holdfast run HARNESS --session ANOTHER -- ARGS")
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield


def lay_out(plan: Handover, directory: Path, write: Write) -> None:
    """Write the plan's files, remove what an earlier run left there of other names, and look whether they
    stand as they should. Raises ConfigError."""
    for stale in _left(directory) - {one.path for one in plan.files}:
        with suppress(OSError):
            (directory / stale).unlink()
    write(directory / _MANIFEST, json.dumps(sorted(one.path for one in plan.files if not one.keep)))
    for one in plan.files:
        path = directory / one.path
        if one.keep and path.is_file() and not path.is_symlink():
            continue
        if path.is_symlink():  # whatever it led to is not ours to write
            path.unlink()
        write(path, one.content)
        if path.read_text("utf-8") != one.content or stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} does not hold what was written to it", next_step=f"ls -l {path}")


def withdraw(plan: Handover, directory: Path) -> list[str]:
    """Remove the plan's files, and say which of them no longer said what we wrote. What the program made
    itself (its history) stays."""
    rewritten: list[str] = []
    for one in plan.files:
        path = directory / one.path
        if one.keep:
            continue
        with suppress(OSError):
            if not _holds_all(path.read_text("utf-8"), one.content):
                rewritten.append(one.path)
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        (directory / _MANIFEST).unlink()
    return rewritten


def environment(
    plan: Handover,
    inherit: Mapping[str, str],
    secret: Secret | None,
    known: Iterable[Secret],
    foreign: Iterable[str],
) -> dict[str, str]:
    """The child's environment: what it inherits without the plan's inventory, without the variables `foreign`
    and without every variable that holds a known secret under whatever name; then what the plan sets, and the
    one variable with the secret."""
    secrets = [*known]
    child = inherited(inherit, (*plan.unset, *foreign))
    child = {name: value for name, value in child.items() if not _holds(value, secrets)}
    child |= plan.set
    for name in ("NO_PROXY", "no_proxy"):
        child[name] = no_proxy_with_loopback(child.get(name, ""))
    if plan.secret and secret is not None:
        child[plan.secret] = secret.reveal()
    return child


def refuse_project(plan: Handover, working: Path) -> None:
    """Raises CannotHandOver when a file of the project, which this program obeys above everything, would
    redirect it."""
    found: list[str] = []
    for directory in _upwards(working):
        for name in plan.project:
            path = directory / name
            with suppress(OSError):
                text = path.read_bytes()[:1_000_000].decode("utf-8", "replace")
                told = [
                    f"{path}:{line} sets {variable}" for line, variable in overriding_lines(text, plan.unset)
                ]
                found += told if name.startswith(".env") else [f"{path} stands above what we can tell it"]
    if found:
        what = f"files of this project would redirect {plan.harness}"
        raise CannotHandOver(
            what,
            details=found,
            next_step=f"holdfast run {plan.harness} …   (after removing these lines, or in another directory)",
        )


def _upwards(working: Path) -> list[Path]:
    """The directory and those above it up to the repository's root, if it is in one."""
    line = [working, *working.parents]
    root = next((index for index, one in enumerate(line) if (one / ".git").exists()), 0)
    return line[: root + 1]


def _holds(value: str, secrets: Sequence[Secret]) -> bool:
    """Whether a text contains one of the secrets, however it is spelt; a short one must be all of it."""
    return any(_says(raw, one) for raw in _readings(value) for one in secrets)


def _says(raw: bytes, secret: Secret) -> bool:
    scrubbed = secret.scrub_bytes(raw)
    return scrubbed != raw if secret.tail else scrubbed == str(secret).encode() != raw


def _readings(value: str) -> Iterator[bytes]:
    """What a text says as it stands, as a URL or a form, and in each run of base64 (of both alphabets) or hex
    digits. Such a run may begin with letters that are none of it, so it is read from each place at which the
    first group may begin."""
    for text in {value, unquote(value), unquote_plus(value)}:
        yield text.encode("utf-8", "surrogateescape")
    packed = "".join(unquote(value).split())
    for run in _BASE64.findall(packed):
        for start in range(4):
            digits = run[start:]
            whole = digits[: len(digits) - (len(digits) % 4 == 1)]  # one digit alone is less than a byte
            yield urlsafe_b64decode(whole.replace("+", "-").replace("/", "_") + "=" * (-len(whole) % 4))
    for run in _HEX.findall(packed):
        for start in range(2):
            yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2])


def _holds_all(text: str, ours: str) -> bool:
    """Whether a file still says all that we wrote; a program may add to it."""
    if text == ours:
        return True
    try:
        return _within(json.loads(ours), json.loads(text))
    except ValueError:
        return False


def _within(ours: object, theirs: object) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(name in theirs and _within(value, theirs[name]) for name, value in ours.items())
    return ours == theirs


def _left(directory: Path) -> set[str]:
    """What an earlier run wrote and, being killed, did not remove."""
    try:
        names = json.loads((directory / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return set()
    return (
        {one for one in names if isinstance(one, str) and not one.startswith("/") and ".." not in one}
        if isinstance(names, list)
        else set()
    )


def _make_private(directory: Path) -> None:
    try:
        make_private_directory(directory)
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise ConfigError(f"{directory} is not a directory of ours", next_step=f"ls -ld {directory}")
        directory.chmod(0o700)
    except OSError as error:
        what = f"cannot make {directory}: {error.strerror or type(error).__name__}; nothing was started"
        raise ConfigError(
            what, next_step=f"ls -ld {directory.parent}   (or set HOLDFAST_HOME to another directory)"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        handle = open_lock(path)
    except OSError as error:
        what = f"cannot write {path}: {error.strerror or type(error).__name__}; nothing was started"
        raise ConfigError(
            what, next_step=f"ls -ld {path.parent}   (or set HOLDFAST_HOME to another directory)"
        ) from None
    try:
        yield handle
    finally:
        os.close(handle)
