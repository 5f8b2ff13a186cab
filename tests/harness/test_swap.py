"""No edit that another program makes while its file is replaced is lost, however and whenever it writes."""

from __future__ import annotations

import errno
import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.core.errors import ConfigError
from holdfast.harness import attach, swap
from holdfast.harness.base import Attachment

Edit = Callable[[Path], None]


def renamed(path: Path) -> None:
    draft = path.with_name("theirs")
    draft.write_text("theirs")
    draft.replace(path)


def in_place(path: Path) -> None:
    path.write_text("theirs")


EDITS = [renamed, in_place]
every_edit = pytest.mark.parametrize("edit", EDITS)
every_replacement = pytest.mark.parametrize("after", ["ours", None])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "settings.json").write_text("old")
    return tmp_path / "settings.json"


def before_the_rename(monkeypatch: pytest.MonkeyPatch, edits: list[Callable[[], None]]) -> None:
    """Make one of the edits before each of the next renames."""
    system, move = swap._rename, Path.rename
    left = iter(edits)

    def rename(first: Path, second: Path, flags: int) -> None:
        next(left, lambda: None)()
        system(first, second, flags)

    def moved(self: Path, target: Path) -> Path:
        next(left, lambda: None)()
        return move(self, target)

    monkeypatch.setattr(swap, "_rename", rename)
    monkeypatch.setattr(Path, "rename", moved)


def alone(path: Path) -> str:
    """The content of a file beside which no draft is left."""
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    return path.read_text()


@every_replacement
def test_a_file_that_nobody_edits_is_replaced(after: str | None, path: Path) -> None:
    assert swap.replace_if_same(path, "old", after)
    assert [item.read_text() for item in path.parent.iterdir()] == [after][: after is not None]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_a_replaced_file_still_belongs_to_its_user_and_group(path: Path) -> None:
    os.chown(path, 12345, 54321)
    assert swap.replace_if_same(path, "old", "ours")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


@every_edit
@every_replacement
def test_an_edit_from_before_is_kept(edit: Edit, after: str | None, path: Path) -> None:
    edit(path)
    assert not swap.replace_if_same(path, "old", after)
    assert alone(path) == "theirs"


@every_edit
@every_replacement
def test_an_edit_between_the_last_look_and_the_rename_is_put_back(
    edit: Edit, after: str | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_the_rename(monkeypatch, [lambda: edit(path)])
    assert not swap.replace_if_same(path, "old", after)
    assert alone(path) == "theirs"


@every_edit
def test_the_newest_of_several_edits_is_the_one_that_stays(
    edit: Edit, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newer() -> None:
        draft = path.with_name("newer")
        draft.write_text("newer")
        draft.replace(path)

    before_the_rename(monkeypatch, [lambda: edit(path), newer])
    assert not swap.replace_if_same(path, "old", "ours")
    assert alone(path) == "newer"


@every_replacement
def test_a_program_that_is_writing_into_the_file_is_waited_for(
    after: str | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def begin() -> None:
        opened.append(path.open("w"))

    def write(_: float) -> None:
        opened[0].write("theirs")
        opened[0].close()

    before_the_rename(monkeypatch, [begin])
    monkeypatch.setattr(swap.time, "sleep", write)
    assert not swap.replace_if_same(path, "old", after)
    assert alone(path) == "theirs"


def test_what_is_read_is_never_half_of_one_edit_and_half_of_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, written = swap.read_regular, iter(["a longer edit", "theirs"])

    def interrupted(subject: Path) -> bytes:
        content = read(subject)
        text = next(written, "")
        if text:
            path.write_text(text)
            content += read(subject)[len(content) :]
        return content

    monkeypatch.setattr(swap, "read_regular", interrupted)
    assert swap.settled(path) == b"theirs"


def test_a_file_that_came_meanwhile_is_not_replaced_by_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    before_the_rename(monkeypatch, [lambda: in_place(path)])
    assert not swap.replace_if_same(path, None, "ours")
    assert alone(path) == "theirs"
    path.unlink()
    assert swap.replace_if_same(path, None, "ours")
    assert alone(path) == "ours"


@every_replacement
def test_a_file_that_is_gone_meanwhile_stays_gone(
    after: str | None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_the_rename(monkeypatch, [path.unlink])
    assert not swap.replace_if_same(path, "old", after)
    assert [*path.parent.iterdir()] == []


def test_a_system_that_cannot_exchange_two_files_looks_last_before_it_replaces(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_renameat2", lambda: swap._none)
    assert not swap.replace_if_same(path, "other", "ours")
    assert alone(path) == "old"
    assert swap.replace_if_same(path, "old", "ours")
    assert alone(path) == "ours"
    assert not swap.replace_if_same(path, None, "new")
    path.unlink()
    assert swap.replace_if_same(path, None, "new")
    assert alone(path) == "new"


def test_a_file_that_cannot_be_replaced_is_reported_and_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(swap, "_rename", refuse)
    with pytest.raises(ConfigError, match="Permission denied; nothing was changed"):
        swap.replace_if_same(path, "old", "ours")
    assert alone(path) == "old"


@every_edit
def test_three_hundred_edits_at_any_moment_are_all_kept(edit: Edit, tmp_path: Path) -> None:
    path, chance = tmp_path / "settings.json", random.Random(edit.__name__)
    attachment = Attachment("X", ".x", (path.name,), ((("env", "B"), "2"),), "")
    lost = []
    for number in range(150):
        path.write_text('{"env": {}, "n": 0}')
        delay = chance.random() * 0.002

        def write(number: int = number, delay: float = delay) -> None:
            threading.Event().wait(delay)
            text = json.dumps(json.loads(path.read_text()) | {"n": number})
            if edit is in_place:
                path.write_text(text)
                return
            path.with_name("theirs").write_text(text)
            path.with_name("theirs").replace(path)

        writer = threading.Thread(target=write)
        writer.start()
        attach.connect("x", attachment, path, "http://127.0.0.1:1", "/t", lambda *_: None)
        writer.join()
        if json.loads(path.read_text())["n"] != number:
            lost.append(number)
    assert lost == []
