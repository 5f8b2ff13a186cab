"""Every writer of a file keeps one promise: the old or the new content, privately, durably, behind a link,
and never half."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import _files
from holdfast.core.errors import ConfigError
from holdfast.store.sqlite import SqliteStore

Writer = Callable[[Path], None]


def private(path: Path) -> None:
    _files.write_private(path, "new")


def keeping_mode(path: Path) -> None:
    _files.write_keeping_mode(path, "new")


def streamed(path: Path) -> None:
    with _files.replacing(path) as file:
        file.write(b"new")


def created(path: Path) -> None:
    with _files.creating(path) as draft:
        draft.write_bytes(b"new")


def in_place(path: Path) -> None:
    _files.write_in_place(path, b"new")


REPLACING = [private, keeping_mode, streamed]
EVERY = [*REPLACING, created, in_place]
FAILED = (OSError, ConfigError)
every_writer = pytest.mark.parametrize("write", EVERY)
every_replacing_writer = pytest.mark.parametrize("write", REPLACING)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@every_writer
def test_a_new_file_and_its_directories_are_their_owners_alone(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    before = os.umask(0)
    try:
        write(path)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)


@pytest.mark.parametrize("write", [*REPLACING, created])
def test_the_mode_is_exact_whatever_the_umask(write: Writer, tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600


@pytest.mark.parametrize(("write", "kept"), [(private, 0o600), (keeping_mode, 0o644), (streamed, 0o644)])
def test_only_a_private_file_becomes_private_when_it_is_replaced(
    write: Writer, kept: int, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write(path)
    assert (path.read_text(), mode(path)) == ("new", kept)


@every_writer
def test_content_and_name_are_on_the_disk_when_it_returns(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write(tmp_path / "file")
    assert synced == ["file", "directory"]


@every_replacing_writer
def test_a_link_stays_a_link_and_its_file_is_replaced(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(link)
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    assert [item.name for item in target.parent.iterdir()] == ["file"]


def test_a_dangling_link_points_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    created(tmp_path / "link")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "file").read_text()) == (True, "new")


@pytest.mark.parametrize("write", [*REPLACING, created])
@pytest.mark.parametrize("kind", ["pipe", "directory", "circle"])
def test_what_is_no_regular_file_is_never_replaced(write: Writer, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(path)
    before = path.lstat().st_ino
    with pytest.raises(FAILED):
        write(path)
    assert path.lstat().st_ino == before
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_room_on_the_disk_is_never_taken_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "somebodys").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "somebodys")
    for new in (True, False):
        with pytest.raises(ConfigError, match="nothing was changed"):
            _files.write_in_place(tmp_path / "link", b"new", new=new)
    assert (tmp_path / "somebodys").read_text() == "old"


@pytest.mark.parametrize("write", [*REPLACING, created])
@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_write_that_fails_leaves_the_old_content_and_no_draft(
    write: Writer, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    if write is not created:
        path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(FAILED, match="No space left on device"):
            write(path)
    assert [item.read_text() for item in tmp_path.iterdir()] == ([] if write is created else ["old"])


@pytest.mark.parametrize("links", [True, False])
def test_creating_replaces_nothing_that_came_meanwhile(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Path, target: Path) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", none)
    path = tmp_path / "file"
    # it is the end of the block that raises
    with pytest.raises(FileExistsError), _files.creating(path) as draft:  # noqa: PT012
        draft.write_text("ours")
        path.write_text("theirs")
    assert [item.read_text() for item in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize(
    ("call", "number", "fine"),
    [
        ("open", errno.EACCES, True),
        ("fsync", errno.EINVAL, True),
        ("fsync", errno.ENOTSUP, True),
        ("fsync", errno.EIO, False),
    ],
)
def test_a_directory_that_cannot_be_synced_is_no_reason_to_refuse_a_write(
    call: str, number: int, fine: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)

    def refuse(subject: Any, *more: int) -> Any:
        if subject == tmp_path or (isinstance(subject, int) and stat.S_ISDIR(os.fstat(subject).st_mode)):
            raise OSError(number, os.strerror(number))
        return real(subject, *more)

    monkeypatch.setattr(os, call, refuse)
    if fine:
        private(tmp_path / "file")
    else:
        with pytest.raises(ConfigError, match="Input/output error"):
            private(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"


def test_only_drafts_of_killed_writers_are_removed(tmp_path: Path) -> None:
    names = """
        .file.4711.0123abcd .file.12.0123abcd .file.mine.0123abcd .file.4711.0123abcde .other.1.0123abcd
    """.split()
    for name in names:
        (tmp_path / name).write_text("a key")
    os.utime(tmp_path / names[0], (1, 1))
    _files.remove_drafts(tmp_path / "file")
    assert {item.name for item in tmp_path.iterdir()} == {*names[1:]}, (
        "one that is young may still be at work"
    )
    with _files.locked(tmp_path / "file"):
        left = {item.name for item in tmp_path.iterdir()}
        assert left == {*names[2:], ".file.lock"}, "nobody else writes under our lock"


def test_a_lock_is_never_opened_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / ".file.lock").symlink_to(tmp_path / "somebodys")
    with pytest.raises(ConfigError, match="cannot write"), _files.locked(tmp_path / "file"):
        pass
    assert not (tmp_path / "somebodys").exists()


def test_a_lock_that_another_has_is_waited_for_and_then_reported(tmp_path: Path) -> None:
    with (tmp_path / ".file.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        message = "is being changed by another process"
        with pytest.raises(ConfigError, match=message), _files.locked(tmp_path / "file", 0.0):
            pass
    with _files.locked(tmp_path / "file", 0.0):
        pass


# -- reading


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.write_bytes(b"123456789"), "is longer than 8 bytes"),
        (lambda path: path.write_bytes(b"\xff"), "is not UTF-8 text"),
        (lambda path: path.symlink_to(path), "cannot read .*: Too many levels"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_and_never_waited_for(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "file")
    with pytest.raises(ConfigError, match=message):
        _files.read_text(tmp_path / "file", 8)


@pytest.mark.parametrize(
    ("content", "text"), [(None, None), (b"", ""), (b"12345678", "12345678"), (b"\xef\xbb\xbfa", "a")]
)
def test_a_text_is_read_without_its_byte_order_mark(
    content: bytes | None, text: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    assert _files.read_text(tmp_path / "file", 8) == text


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_of_another_program_has_nothing_to_do_with_our_home(ours: bool, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    error = _files.cannot("read", tmp_path / "file", OSError(13, "Permission denied"), ours=ours)
    assert ("HOLDFAST_HOME" in error.next_step) is ours


# -- who uses it


def test_the_directories_of_a_new_store_are_private_and_its_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "state.db", tmp_path / "a" / "b" / "state.db"
    link.symlink_to(target)
    left = target.parent / ".state.db.4711.0123abcd"
    target.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (1, 1))
    deep = tmp_path / "c" / "d" / "state.db"
    before = os.umask(0)
    try:
        for path in (link, deep):
            SqliteStore(path).close()
    finally:
        os.umask(before)
    assert (link.is_symlink(), [item.name for item in target.parent.iterdir()]) == (True, ["state.db"])
    assert (mode(deep), mode(deep.parent), mode(deep.parent.parent)) == (0o600, 0o700, 0o700)
