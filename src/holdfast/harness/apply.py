"""Put a plan into effect: a private directory with its files, an environment without anyone's keys, and the
removal of the files.

This module never touches the program's own configuration (`connect` does, and undoes it), and never writes a
secret into a file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from .._files import make_private_directory, open_lock, take_lock
from ..core.errors import CannotHandOver, ConfigError
from ..secrecy.masking import holds
from ..values.secret import Secret
from .base import Handover
from .environment import inherited, no_proxy_with_loopback, overriding_lines

Write = Callable[[Path, str], None]
"""Replaces a file whole, mode 0600, durable. Raises ConfigError."""
_MANIFEST = ".holdfast.json"
_LOCK = ".holdfast.lock"
_MOST_OF_A_PROJECT_FILE = 1_000_000  # bytes


@contextmanager
def claimed(directory: Path, session: str) -> Iterator[None]:
    """Hold the private directory of one run, 0700, for this process alone. Raises CannotHandOver while
    another run has it, ConfigError when it cannot be created or is not ours."""
    _make_private(directory)
    with _opened(directory / _LOCK) as lock:
        if not take_lock(lock):
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "another process"
            what = f"session '{session}' is running already (process {holder})"
            raise CannotHandOver(
                f"{what}: two programs would write one history",
                next_step="holdfast run HARNESS --session ANOTHER -- ARGS",
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield


def lay_out(plan: Handover, directory: Path, write: Write) -> None:
    """Write the plan's files, remove other files that an earlier run left there, and check what was written.
    Raises ConfigError."""
    for stale in _left_by_a_killed_run(directory) - {file.path for file in plan.files}:
        with suppress(OSError):
            (directory / stale).unlink()
    write(directory / _MANIFEST, json.dumps(sorted(file.path for file in plan.files if not file.keep)))
    for file in plan.files:
        path = directory / file.path
        if file.keep and path.is_file() and not path.is_symlink():
            continue
        if path.is_symlink():  # its target is not ours to write
            path.unlink()
        write(path, file.content)
        if path.read_text("utf-8") != file.content or stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} does not hold what was written to it", next_step=f"ls -l {path}")


def withdraw(plan: Handover, directory: Path) -> list[str]:
    """Remove the plan's files; return those that no longer held what we wrote. Files that the program made
    itself (its history) stay."""
    rewritten: list[str] = []
    for file in plan.files:
        path = directory / file.path
        if file.keep:
            continue
        with suppress(OSError):
            if not _still_holds(path.read_text("utf-8"), file.content):
                rewritten.append(file.path)
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
    """Return the child's environment: the inherited one without the variables that the plan removes, the
    variables `foreign`, and every variable that holds a known secret; then the variables that the plan sets,
    and the one with the secret."""
    secrets = [*known]
    child = inherited(inherit, (*plan.unset, *foreign))
    child = {name: value for name, value in child.items() if not holds(value, secrets)}
    child |= plan.set
    for name in ("NO_PROXY", "no_proxy"):
        child[name] = no_proxy_with_loopback(child.get(name, ""))
    if plan.secret and secret is not None:
        child[plan.secret] = secret.reveal()
    return child


def refuse_project(plan: Handover, working: Path) -> None:
    """Raise CannotHandOver when a file of the project, which this program obeys above everything, would
    redirect it."""
    reasons: list[str] = []
    for directory in upwards(working):
        for name in plan.project:
            with suppress(OSError):
                reasons += _redirections(directory / name, plan.unset)
    if reasons:
        raise CannotHandOver(
            f"files of this project would redirect {plan.harness}",
            details=reasons,
            next_step=f"holdfast run {plan.harness} …   (after removing these lines, or in another folder)",
        )


def _redirections(path: Path, unset: Sequence[str]) -> list[str]:
    """Return the reasons why a file of the project would redirect a program. Raises OSError without the
    file."""
    text = path.read_bytes()[:_MOST_OF_A_PROJECT_FILE].decode("utf-8", "replace")
    if not path.name.startswith(".env"):
        return [f"{path} overrides everything that we can set"]
    return [f"{path}:{line} sets {variable}" for line, variable in overriding_lines(text, unset)]


def upwards(working: Path) -> list[Path]:
    """Return the directory and those above it up to the repository's root, if it is in one."""
    directories = [working, *working.parents]
    root = next((index for index, path in enumerate(directories) if (path / ".git").exists()), 0)
    return directories[: root + 1]


def _still_holds(text: str, ours: str) -> bool:
    """Return whether a file still holds all that we wrote; a program may add to it."""
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


def _left_by_a_killed_run(directory: Path) -> set[str]:
    """Return the files that an earlier run wrote and, being killed, did not remove."""
    try:
        names = json.loads((directory / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return set()
    if not isinstance(names, list):
        return set()
    return {name for name in names if _is_inside(name)}


def _is_inside(name: object) -> bool:
    return isinstance(name, str) and not name.startswith("/") and ".." not in name


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
