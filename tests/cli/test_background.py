"""A gateway in the background: `serve --background`, `logs`, `stop`, and a log that stays small."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli.furnishing import Cli, write
from holdfast._files import open_lock, take_lock
from holdfast.cli import progress
from holdfast.cli.background import lines_of
from holdfast.gateway.process import log_file
from holdfast.gateway.process.log_file import LogFile, older_part

if TYPE_CHECKING:
    import pytest


def test_a_gateway_in_the_background_is_listed_logged_and_ended(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(progress, "_is_shown", lambda: True)
    monkeypatch.setattr(progress, "_tell", lambda what, _: seen.append(what))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    started = cli("serve", "--port", "0", "--background", "--json")
    assert (started.exit_code, started.stderr) == (0, "")
    gateway = json.loads(started.stdout)
    assert gateway["token"].startswith("hf-")
    (shown,) = json.loads(cli("status", "--json").stdout)["gateways"]
    assert (shown["url"], shown["pid"], shown["proved"]) == (gateway["url"], gateway["pid"], True)
    assert cli("stop", "http://127.0.0.1:1").exit_code == 2
    assert cli("stop", gateway["url"]).stdout == f"The gateway at {gateway['url']} has ended.\n"
    assert [seen[0], seen[-1]] == [
        "the gateway starts",
        f"the gateway at {gateway['url']} lets its running answers end",
    ]
    events = [json.loads(line)["event"] for line in cli("logs").stdout.splitlines()]
    assert (events[0], events[-1]) == ("started", "ended")
    assert (furnished / "gateway.log").stat().st_mode & 0o777 == 0o600


def test_a_gateway_that_cannot_start_in_the_background_says_why(cli: Cli, furnished: Path) -> None:
    write(furnished / "gateway.log", "of another start\n")
    result = cli("serve", "--host", "0.0.0.0", "--background")
    assert result.exit_code == 2
    assert result.stderr.startswith("holdfast: 0.0.0.0 can be reached from other machines")


def test_without_a_gateway_there_is_nothing_to_end_and_no_log(cli: Cli, furnished: Path) -> None:
    ended, shown = cli("stop"), cli("logs")
    assert (ended.exit_code, shown.exit_code) == (2, 2)
    assert "run: holdfast serve" in ended.stderr
    assert "run: holdfast serve --background" in shown.stderr
    assert cli("serve", "--listen", "127.0.0.1:1", "--port", "2").exit_code == 2


@contextmanager
def open_lock_file(path: Path) -> Iterator[None]:
    """Hold a lock, as another process does."""
    handle = open_lock(path)
    assert take_lock(handle)
    yield
    os.close(handle)


def test_a_log_is_begun_anew_when_it_is_full_moved_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_BYTES", 10)
    path = tmp_path / "logs" / "gateway.log"
    with (tmp_path / "terminal").open("w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        log = LogFile(path)
        for text in ("more than ten bytes", "short"):
            os.write(terminal.fileno(), text.encode())
            log.look()
        assert (older_part(path).read_text(), path.read_text()) == ("more than ten bytes", "short")
        os.write(terminal.fileno(), b" and long again")
        with open_lock_file(path.with_name(".gateway.log.lock")):
            log.look()  # another process is moving it aside
        assert older_part(path).read_text() == "more than ten bytes"
        path.unlink()
        log.look()
        os.write(terminal.fileno(), b"again")
    assert path.read_text() == "again"


def test_a_log_is_followed_into_its_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("1\n2\n3\n")
    steps = [lambda: log.write_text("1\n2\n3\n4\n"), lambda: log.replace(older_part(log)), None]

    def wait(_: float) -> None:
        step = steps.pop(0)
        if step is not None:
            step()
        if len(steps) == 1:
            log.write_text("5\n")

    monkeypatch.setattr("time.sleep", wait)
    followed = lines_of(log, 2, follow=True)
    assert [next(followed) for _ in range(4)] == ["2\n", "3\n", "4\n", "5\n"]
