"""Private files that are replaced whole: a reader sees the old or the new content, a crash or a full disk
leaves the old."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from .core.errors import ConfigError

_LOCK_PATIENCE = 10.0


def write_private(path: Path, text: str) -> None:
    """Replaces `path` (or what it links to) by `text`, mode 0600, durable when this returns. Raises
    ConfigError; the old content then still stands."""
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        make_private_directory(target.parent)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
        _sync_directory(target.parent)
    except OSError as error:
        raise cannot("write", path, error) from None


@contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Keeps other processes (and threads) that want to replace `path` out. Raises ConfigError after
    `patience` seconds (`_LOCK_PATIENCE` when the caller names none)."""
    import fcntl

    patience = _LOCK_PATIENCE if patience is None else patience
    target = Path(os.path.realpath(path))  # homes that link to one file share its lock
    lock = target.with_name(f".{target.name}.lock")
    try:
        make_private_directory(target.parent)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise cannot("write", path, error) from None
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    what = f"{path} is being changed by another process, for {patience:.0f} s already; nothing was changed"
                    raise ConfigError(
                        what, next_step=f"fuser -v {quoted(lock)}   (names the process)"
                    ) from None
                time.sleep(0.01)
        for draft in target.parent.glob(
            f".{escape(target.name)}.*.{'[0-9a-f]' * 8}"
        ):  # of a writer that was killed: it may hold keys
            with suppress(OSError):
                draft.unlink()
        yield
    finally:
        os.close(handle)


def make_private_directory(directory: Path) -> None:
    """Creates `directory` and what is missing above it with mode 0700, whatever the umask (so does the XDG
    specification want it); what exists keeps its mode. Raises OSError."""
    for missing in reversed([one for one in (directory, *directory.parents) if not os.path.lexists(one)]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)
    directory.mkdir(exist_ok=True)


def cannot(verb: str, path: Path, error: OSError) -> ConfigError:
    """The error for a file that cannot be read or written, with the place and what to do."""
    reason = error.strerror or type(error).__name__
    consequence = "; nothing was changed" if verb == "write" else ""
    step = f"ls -ld {quoted(path.parent)} {quoted(path)}   (or set HOLDFAST_HOME to another directory)"
    return ConfigError(f"cannot {verb} {path}: {reason}{consequence}", next_step=step)


def quoted(path: str | Path) -> str:
    """`path` as it is written in a command; a leading tilde still means the home directory."""
    import shlex

    start, rest = ("~/", str(path)[2:]) if str(path).startswith("~/") else ("", str(path))
    return start + shlex.quote(rest)


def stamp(path: str | Path) -> tuple[int, int, int] | None:
    """A cheap mark of a file's state (mtime_ns, size, inode); None when there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
