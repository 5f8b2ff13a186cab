"""Replaces a file of another program without losing an edit that the program makes at the same time.

The new content is written beside the file first. Then the two change places in one step, and what came out
is looked at: if it is not what the new content was made from, it is put back. A program that writes into the
file where it lies is waited for, where the system tells that it has it open (Linux, for files of ours)."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from .._files import NotRead, Put, cannot, read_regular, replacing, stamp

_AT_FDCWD = -100
_NO_REPLACE = 1
_EXCHANGE = 2
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""Errors by which a system or file system says that it cannot exchange two names."""
_PATIENCE = 1.0
"""Seconds to wait for a program that has the file open to write into it."""
_MOST_EXCHANGES = 100


class Changed(Exception):
    """Raised when a file does not hold what its new content was made from."""


def replace_if_same(path: Path, before: str | None, after: str | None) -> bool:
    """Replace the content `before` of another program's file by `after` (None: no file). Return False, with
    the file as that program left it, when it holds something else by then. Raises ConfigError."""
    try:
        if after is None:
            _remove(Path(os.path.realpath(path)), (before or "").encode())
            return True
        put: Put = _put_new
        if before is not None:
            put = partial(_put, before.encode())
        with replacing(path, put=put) as file:
            if before is not None:
                _give_to_owner_of(path, file.fileno())
            file.write(after.encode())
    except (Changed, NotRead, FileExistsError, FileNotFoundError):
        return False
    except OSError as error:
        raise cannot("write", path, error, ours=False) from None
    return True


def settled(path: Path) -> bytes:
    """Return the content of a regular file that nobody wrote into while it was read, or after a second
    whatever is in it. Raises OSError and NotRead."""
    until = time.monotonic() + _PATIENCE
    while True:
        before, written = stamp(path), _is_written(path)
        content = read_regular(path)
        if not written and not _is_written(path) and stamp(path) == before:
            return content
        if time.monotonic() > until:
            return content
        time.sleep(0.001)


def _put_new(draft: Path, target: Path) -> None:
    """Give `draft` a name that no file has. Raises FileExistsError when one has it by now."""
    try:
        _rename(draft, target, _NO_REPLACE)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        if os.path.lexists(target):
            raise Changed from None
        draft.rename(target)


def _put(before: bytes, draft: Path, target: Path) -> None:
    """Give `draft` the name of `target`, which holds `before`. Raises Changed, with the name as it was."""
    ours = _mark(draft)
    if settled(target) != before:
        raise Changed
    if not _exchanged(draft, target):
        draft.replace(target)
        return
    if settled(draft) == before:
        return
    _put_back(draft, target, ours)
    raise Changed


def _give_to_owner_of(path: Path, draft: int) -> None:
    """Give the open file `draft` the owner and the group of `path`, as far as the system lets us: root edits
    the file of a user, and a file may be a group's. A path would not do: who owns the directory can put
    another file there meanwhile."""
    status = path.stat()
    for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
        with suppress(OSError):
            os.fchown(draft, owner, group)


def _put_back(draft: Path, target: Path, placed: tuple[int, bytes]) -> None:
    """Exchange `draft` and `target` until what comes out is what was put there last, and not a newer edit of
    the other program."""
    for _ in range(_MOST_EXCHANGES):
        edit = _mark(draft)
        _exchanged(draft, target)
        if _mark(draft) == placed:
            return
        placed = edit


def _mark(path: Path) -> tuple[int, bytes]:
    """Return what tells one state of a file from another: which file it is, and its content."""
    content = settled(path)
    return path.stat().st_ino, content


def _remove(target: Path, before: bytes) -> None:
    """Remove the file that holds `before`. Raises Changed, and then the file is there."""
    if settled(target) != before:
        raise Changed
    aside = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    target.rename(aside)
    try:
        if settled(aside) != before:
            with suppress(Changed, FileExistsError):
                _put_new(aside, target)
            raise Changed
    finally:
        with suppress(OSError):
            aside.unlink()


def _is_written(path: Path) -> bool:
    """Return whether a program has the file open to write into it; False where that cannot be told. Raises
    OSError."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Whoever opens the file while we have the lease makes the system send us this signal: the default is
        # one that would end the process.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange the names of two files in one step; return False where that is not possible. Raises
    OSError."""
    try:
        _rename(first, second, _EXCHANGE)
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return False
        raise
    return True


def _rename(first: Path, second: Path, flags: int) -> None:
    """Call renameat2. Raises OSError: ENOSYS where there is none."""
    names = os.fsencode(first), os.fsencode(second)
    if _renameat2()(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(first))


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int]:
    """Return the system's own function; where there is none, one that says so."""
    libc = ctypes.CDLL(None, use_errno=True)
    function: Callable[..., int] | None = getattr(libc, "renameat2", None)
    if function is None:
        return _none
    return function


def _none(*_: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1
