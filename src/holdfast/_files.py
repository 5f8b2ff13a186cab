"""Files that are read within bounds and replaced whole: the one owner of how this product touches a disk.

A reader sees the old or the new content; a crash or a full disk leaves the old. What a write promises is the
same everywhere: the new content is durable when the call returns, a symbolic link stays a link and the file
behind it is replaced, what is no regular file is refused, and a mode is exact whatever the umask. Of our own
modules this one imports only the errors that it raises.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .core.errors import ConfigError

_LOCK_PATIENCE = 10.0
_PRIVATE = 0o600
_STALE_AFTER = 60.0
"""Seconds after which a draft is taken for one that a killed writer left."""
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
_ELSEWHERE = "   (or set HOLDFAST_HOME to another directory)"


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text`, readable by its owner alone. Raises ConfigError; the old content then
    still stands."""
    try:
        with replacing(path, _PRIVATE) as file:
            file.write(text.encode())
    except OSError as error:
        raise cannot("write", path, error) from None


def write_keeping_mode(path: Path, text: str) -> None:
    """Replace a file of another program by `text`, with the mode that it has (0600 for a new one). Raises
    ConfigError."""
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise cannot("write", path, error, ours=False) from None


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Give a draft to write into, which takes the place of `path` when the block ends well.

    `mode` None keeps the mode that the file has. Raises OSError; whatever is raised, the old content still
    stands.
    """
    target, mode_before = _behind(path)
    make_private_directory(target.parent)
    with _draft(target) as (draft, file):
        yield file
        file.flush()
        os.fchmod(file.fileno(), mode_before if mode is None else mode)
        os.fsync(file.fileno())
        os.replace(draft, target)
        _sync_directory(target.parent)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Give the path of an empty private file, which gets the name `path` when the block ends well and has
    closed it.

    Nothing is ever replaced: raises FileExistsError when something has that name by then. Raises OSError.
    """
    target, _ = _behind(path)
    make_private_directory(target.parent)
    with _draft(target) as (draft, file):
        yield draft
        os.fsync(file.fileno())
        _name(draft, target)
        _sync_directory(target.parent)


def write_in_place(path: Path, data: bytes, *, new: bool = False) -> None:
    """Write into the room that a private file has on the disk already, so that a full disk stops nothing;
    what is left of the room is given back only behind what was written. With `new` the file must not exist:
    this is how room is taken.

    A crash in the middle leaves a mixture, so this is for content that is checked when it is read. Raises
    ConfigError.
    """
    how = os.O_CREAT | (os.O_EXCL if new else 0)
    try:
        make_private_directory(path.parent)
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | how, _PRIVATE)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.ftruncate(handle, len(data))
            os.fsync(handle)
        finally:
            os.close(handle)
        _sync_directory(path.parent)
    except OSError as error:
        raise cannot("write", path, error) from None


def make_private_directory(directory: Path) -> None:
    """Create `directory` and what is missing above it with mode 0700 (as the XDG specification wants it);
    what exists keeps its mode. Raises OSError."""
    for missing in reversed([path for path in (directory, *directory.parents) if not os.path.lexists(path)]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)
    directory.mkdir(mode=0o700, exist_ok=True)


def remove_drafts(path: Path, older_than: float = _STALE_AFTER) -> None:
    """Remove what writers of `path` left beside it when they were killed; one that may still be at work
    keeps its draft."""
    target = Path(os.path.realpath(path))
    ours = re.compile(rf"\.{re.escape(target.name)}\.\d+\.[0-9a-f]{{8}}")
    with suppress(OSError):
        for draft in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                if time.time() - draft.lstat().st_mtime >= older_than:
                    draft.unlink()


@contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Keep other processes (and threads) that want to replace `path` out. Raises ConfigError after
    `patience` seconds (`_LOCK_PATIENCE` when the caller names none)."""
    patience = _LOCK_PATIENCE if patience is None else patience
    target = Path(os.path.realpath(path))  # homes that link to one file share its lock
    lock = target.with_name(f".{target.name}.lock")
    try:
        make_private_directory(target.parent)
        handle = open_lock(lock)
    except OSError as error:
        raise cannot("write", path, error) from None
    try:
        deadline = time.monotonic() + patience
        while not take_lock(handle):
            if time.monotonic() > deadline:
                what = f"{path} is being changed by another process, for {patience:.0f} s already"
                step = f"fuser -v {quoted(lock)}   (names the process)"
                raise ConfigError(f"{what}; nothing was changed", next_step=step)
            time.sleep(0.01)
        remove_drafts(target, older_than=0.0)  # they may hold keys
        yield
    finally:
        os.close(handle)


def open_lock(path: Path) -> int:
    """Open a lock file, made with mode 0600 where there is none and never behind a link; the caller closes
    it. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE)


def take_lock(handle: int) -> bool:
    """Take the lock of an opened lock file, until it is closed; False when somebody else has it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class NotRead(Exception):
    """A file is not one that can be read; the text says what it is, without its path."""


def read_regular(path: str | Path, longest: int | None = None) -> bytes:
    """Return what stands in a regular file of at most `longest` bytes. Raises NotRead for any other, and
    OSError.

    The opened file is looked at, not its name, and is read no further than allowed: a pipe is not waited for,
    and what grows or has no size (in /proc) ends as well.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRead("not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            raw = file.read(-1 if longest is None else longest + 1)
    finally:
        os.close(handle)
    if longest is not None and len(raw) > longest:
        raise NotRead(f"longer than {longest} bytes")
    return raw


def read_text(path: Path, longest: int | None = None, *, ours: bool = True) -> str | None:
    """Return the UTF-8 text of a regular file without its byte order mark; None where there is no file.
    Raises ConfigError, which for a file of another program (not `ours`) says nothing of HOLDFAST_HOME."""
    try:
        return read_regular(path, longest).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text", next_step=f"file {quoted(path)}") from None
    except NotRead as reason:
        raise ConfigError(f"{path} is {reason}", next_step=f"ls -ld {quoted(path)}") from None
    except OSError as error:
        raise cannot("read", path, error, ours=ours) from None


def stamp(path: str | Path) -> tuple[int, int, int] | None:
    """Return a cheap mark of a file's state (mtime_ns, size, inode); None when there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def cannot(verb: str, path: Path, error: OSError, *, ours: bool = True) -> ConfigError:
    """Return the error for a file that cannot be read or written, with the place and what to do; a file of
    another program (not `ours`) has its place whatever HOLDFAST_HOME says."""
    reason = error.strerror or type(error).__name__
    consequence = "; nothing was changed" if verb == "write" else ""
    step = f"ls -ld {quoted(path.parent)} {quoted(path)}{_ELSEWHERE if ours else ''}"
    return ConfigError(f"cannot {verb} {path}: {reason}{consequence}", next_step=step)


def quoted(path: str | Path) -> str:
    """Return `path` as it is written in a command; a leading tilde still means the home directory."""
    import shlex

    below_home = str(path).removeprefix("~/")
    return ("~/" if below_home != str(path) else "") + shlex.quote(below_home)


def _behind(path: Path) -> tuple[Path, int]:
    """Return the file that is replaced when `path` is (a link stays a link), and its mode (0600 for a new
    one). Raises OSError for what is no regular file."""
    target = Path(os.path.realpath(path))
    try:
        status = target.lstat()
    except FileNotFoundError:
        return target, _PRIVATE
    if stat.S_ISLNK(status.st_mode):  # only a circle of links is left unresolved
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    return target, stat.S_IMODE(status.st_mode)


@contextmanager
def _draft(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new private file beside `target`; under the name of a draft nothing is left at the end."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, _PRIVATE)
            yield draft, file
    finally:
        with suppress(OSError):
            os.unlink(draft)


def _name(draft: Path, target: Path) -> None:
    """Give a finished file its name. Raises FileExistsError when something has it already."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links (exFAT, Android)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(draft, target)


def _sync_directory(directory: Path) -> None:
    """Make a new name durable, where the file system can do that and lets us ask for it. Raises OSError."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(handle)
