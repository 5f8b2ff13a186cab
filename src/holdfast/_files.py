"""Reads files within bounds and replaces them whole: the one module of the product that writes to a disk.

A reader sees the old or the new content; a crash or a full disk leaves the old. Every write keeps the same
promises: the new content is durable when the call returns, a symbolic link stays a link and its target is
replaced, anything but a regular file is refused, and the mode is exact whatever the umask. Of our own modules
this one imports only the errors that it raises.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .core.errors import ConfigError

Put = Callable[[Path, Path], None]
"""Gives a finished draft (the first) the name of the file (the second). Raises OSError."""
_LOCK_PATIENCE = 10.0  # seconds
_PRIVATE = 0o600
_OTHERS_WRITE = 0o022
_STALE_AFTER = 60.0
"""Seconds after which a draft counts as left over from a killed writer."""
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
"""Errors by which a file system says that it cannot sync a directory."""
_WRITING = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
"""Seconds between looks at a file that is being written."""
_ELSEWHERE = "   (or set HOLDFAST_HOME to another directory)"


def write_private(path: Path, text: str) -> None:
    """Replace the content of `path` by `text`, readable by its owner alone. Raises ConfigError, and then the
    old content is still there."""
    try:
        with replacing(path, _PRIVATE) as file:
            file.write(text.encode())
    except OSError as error:
        raise cannot("write", path, error) from None


def write_keeping_mode(path: Path, text: str) -> None:
    """Replace the content of another program's file by `text` and keep its mode (0600 for a new file). Raises
    ConfigError."""
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise cannot("write", path, error, ours=False) from None


@contextmanager
def replacing(path: Path, mode: int | None = None, put: Put | None = None) -> Iterator[BinaryIO]:
    """Yield a draft to write into, which takes the place of `path` when the block ends without an exception.

    `mode` None keeps the file's mode. `put` names the finished draft; its exceptions are passed on. Raises
    OSError. After any exception the old content is still there.
    """
    target, mode_before = _target(path)
    make_private_directory(target.parent)
    with _draft(target) as (draft, file):
        yield file
        file.flush()
        os.fchmod(file.fileno(), mode_before if mode is None else mode)
        os.fsync(file.fileno())
        file.close()
        (put or os.replace)(draft, target)
        _sync_directory(target.parent)


@contextmanager
def reserving(path: Path, beside: Path, size: int) -> Iterator[Callable[[bytes], None]]:
    """Reserve `size` bytes on the disk, and yield the function that makes so many the content of `path`, also
    on a disk that is full by then. They are a draft of `beside`, whose lock the caller has: its next holder
    removes what a killed process left. Raises OSError."""
    target, _ = _target(path)
    with _draft(beside) as (draft, file):
        file.write(bytes(size))
        file.flush()
        os.fsync(file.fileno())

        def put(content: bytes) -> None:
            file.seek(0)
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
            os.replace(draft, target)
            _sync_directory(target.parent)

        yield put


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """Yield the path of an empty private file, which is renamed to `path` when the block ends without an
    exception and has closed it.

    Nothing is ever replaced: raises FileExistsError when that name is taken by then. Raises OSError.
    """
    target, _ = _target(path)
    make_private_directory(target.parent)
    with _draft(target) as (draft, file):
        yield draft
        os.fsync(file.fileno())
        _name(draft, target)
        _sync_directory(target.parent)


def write_in_place(path: Path, data: bytes, *, new: bool = False) -> None:
    """Overwrite a private file in the space that it has on the disk already, so that it works on a full disk.
    The file is cut to its new length after the content is written. With `new` the file must not exist: this
    is how the space is reserved.

    A crash in the middle leaves a mixture, so this is for content that is checked when it is read. Raises
    ConfigError.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT
    if new:
        flags |= os.O_EXCL
    try:
        make_private_directory(path.parent)
        handle = os.open(path, flags, _PRIVATE)
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
    """Create `directory` and its missing parents with mode 0700, as the XDG specification demands; what
    exists keeps its mode. Raises OSError."""
    for missing in reversed([path for path in (directory, *directory.parents) if not os.path.lexists(path)]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)
    directory.mkdir(mode=0o700, exist_ok=True)


def remove_drafts(path: Path, older_than: float = _STALE_AFTER) -> None:
    """Remove the drafts that killed writers of `path` left beside it. A draft of less than `older_than`
    seconds may still be in use and is kept."""
    target = Path(os.path.realpath(path))
    ours = re.compile(rf"\.{re.escape(target.name)}\.\d+\.[0-9a-f]{{8}}")
    with suppress(OSError):
        for draft in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                if time.time() - draft.lstat().st_mtime >= older_than:
                    draft.unlink()


class Busy(ConfigError):
    """Another process or thread keeps a file locked; nothing was changed."""


@contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Lock `path` against other processes and threads that want to replace it. Raises Busy after `patience`
    seconds (default: 10), ConfigError where no lock can be made."""
    if patience is None:
        patience = _LOCK_PATIENCE
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
                raise Busy(f"{what}; nothing was changed", next_step=step)
            time.sleep(0.01)
        remove_drafts(target, older_than=0.0)  # they may hold keys
        yield
    finally:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_UN)  # a child that was forked meanwhile has a copy
        os.close(handle)


def open_lock(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a lock file, created with mode 0600 if it is missing; a link is not followed. The caller closes
    it. Raises OSError."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE)


def open_log(path: Path) -> int:
    """Open a file to append to it, like a lock file."""
    return open_lock(path, os.O_WRONLY | os.O_APPEND)


def take_lock(handle: int, *, shared: bool = False) -> bool:
    """Take the lock of an open lock file, until it is closed; a `shared` one beside others of that sort.
    Return False when another process or thread has it."""
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class NotRead(Exception):
    """Raised for a file that is not read. The text says what is wrong with it, without its path."""


def read_regular(path: str | Path, longest: int | None = None, *, ours: bool = False) -> bytes:
    """Return the content of a regular file of at most `longest` bytes. Raises NotRead for any other, and
    OSError; for a file of `ours` that others could have written, ConfigError.

    The open file is examined, not its name, and it is read no further than allowed. So a pipe does not block,
    and a file that grows or has no size (in /proc) comes to an end.
    """
    most = -1
    if longest is not None:
        most = longest + 1
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotRead("not a regular file")
        if ours:
            _refuse_of_others(Path(path), status)
        with os.fdopen(handle, "rb", closefd=False) as file:
            raw = file.read(most)
    finally:
        os.close(handle)
    if longest is not None and len(raw) > longest:
        raise NotRead(f"longer than {longest} bytes")
    return raw


def read_text(path: Path, longest: int | None = None, *, ours: bool = True) -> str | None:
    """Return the UTF-8 text of a regular file without its byte order mark; None where there is no file.
    Raises ConfigError, which mentions HOLDFAST_HOME only for a file of `ours`, not of another program. One of
    `ours` is not read where others could have written it."""
    try:
        return read_regular(path, longest, ours=ours).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text", next_step=f"file {quoted(path)}") from None
    except NotRead as reason:
        raise ConfigError(f"{path} is {reason}", next_step=f"ls -ld {quoted(path)}") from None
    except OSError as error:
        raise cannot("read", path, error, ours=ours) from None


def written_by_others(path: Path, status: os.stat_result) -> tuple[str, str] | None:
    """Return why others than this user and root could have written a file, and the command that mends it;
    None where nobody else could.

    `status` is that of the file itself. For a link, whoever made it counts too: it chose the file.
    """
    owners = trusted_owners()
    if not owners:
        return None
    owner = status.st_uid
    if owner in owners and path.is_symlink():
        owner = path.lstat().st_uid
    if owner not in owners:
        command = f"chown -h {os.geteuid()} {quoted(path)}   (by root, once you have read it; "
        command += "in a container: run it as the file's owner, or mount a file of root)"
        return f"{path} belongs to another user (uid {owner})", command
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHERS_WRITE:
        return f"{path} can be written by others (mode {mode:04o})", f"chmod go-w {quoted(path)}"
    return None


def trusted_owners() -> tuple[int, ...]:
    """Return the users whose files are believed: whoever runs this, and root; none where files have no
    owners."""
    if not hasattr(os, "geteuid"):
        return ()
    return os.geteuid(), 0


def _refuse_of_others(path: Path, status: os.stat_result) -> None:
    """Raise ConfigError for a file that others could have written: it may send keys elsewhere, or run a
    command."""
    others = written_by_others(path, status)
    if others is not None:
        what, command = others
        raise ConfigError(f"{what}, so it is not read: it decides where your keys go", next_step=command)


def stamp(path: str | Path) -> tuple[int, int, int] | None:
    """Return a cheap mark of a file's state (mtime_ns, size, inode); None when there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def changes_soon(path: str | Path, before: tuple[int, int, int] | None) -> bool:
    """Return whether a file with the stamp `before` has another one within 63 ms: who writes into a file in
    place is mostly done in that time."""
    for pause in _WRITING:
        time.sleep(pause)
        if stamp(path) != before:
            return True
    return False


def cannot(verb: str, path: Path, error: OSError, *, ours: bool = True) -> ConfigError:
    """Return the error for a file that cannot be read or written, with its path and the next step. `ours` is
    False for a file of another program, which HOLDFAST_HOME does not move."""
    what = f"cannot {verb} {path}: {error.strerror or type(error).__name__}"
    if verb == "write":
        what += "; nothing was changed"
    step = f"ls -ld {quoted(path.parent)} {quoted(path)}"
    if ours:
        step += _ELSEWHERE
    return ConfigError(what, next_step=step)


def quoted(path: str | Path) -> str:
    """Return `path` quoted for a shell; a leading tilde still means the home directory."""
    import shlex

    text = str(path)
    if text.startswith("~/"):
        return "~/" + shlex.quote(text.removeprefix("~/"))
    return shlex.quote(text)


def _target(path: Path) -> tuple[Path, int]:
    """Return the file that is replaced when `path` is, which for a link is the one it points to, and its mode
    (0600 for a new one). Raises OSError for anything but a regular file."""
    target = Path(os.path.realpath(path))
    try:
        status = target.lstat()
    except FileNotFoundError:
        return target, _PRIVATE
    if stat.S_ISLNK(status.st_mode):  # links in a circle cannot be resolved
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    return target, stat.S_IMODE(status.st_mode)


@contextmanager
def _draft(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new private file beside `target`, and remove it at the end if it still has a draft's name."""
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
    """Give a finished file its name. Raises FileExistsError when the name is taken."""
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links (exFAT, Android)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(draft, target)


def _sync_directory(directory: Path) -> None:
    """Make a new name durable, where the file system can do that and we may open the directory. Raises
    OSError."""
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
