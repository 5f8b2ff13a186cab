"""`doctor` in a home that was mounted: files that a gateway may read, and nothing that it may write."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.test_gateways import findings
from holdfast.cli.doctor_gateways import _configured
from holdfast.credentials.sources import FileSource
from holdfast.gateway.listener import Listener
from tables import rows

from .conftest import Cli

DATABASE = '[gateway]\nstore = "postgresql://127.0.0.1:1/holdfast"\n'


@pytest.fixture
def mounted(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home on a file system that is read-only, with its store in a database."""
    for name, text in (("holdfast.toml", DATABASE), ("pepper", "5e" * 32), ("key", "sk-0123456789")):
        (home / name).write_text(text)
        (home / name).chmod(0o440)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    return home


def of_home(cli: Cli) -> list[tuple[str, str]]:
    """Level and text of what doctor finds about the home."""
    return [(each["level"], each["what"]) for each in findings(cli, "home")]


def test_a_home_that_was_mounted_is_right_as_it_is_where_the_store_is_a_database(
    cli: Cli, mounted: Path
) -> None:
    (mounted / "holdfast.toml").chmod(0o644)  # the usual mode of what Kubernetes mounts; it holds no key
    text = f"{mounted} is read-only; sessions, tokens and the journal are in the database"
    assert of_home(cli) == [("ok", text)]
    mounted.chmod(0o777)  # as that of a volume: who may write is decided by the mount
    assert of_home(cli) == [("ok", text)]
    mounted.chmod(0o700)


def test_a_secret_that_was_mounted_for_everybody_is_told_with_its_repair(cli: Cli, mounted: Path) -> None:
    (mounted / "pepper").chmod(0o444)
    _, (level, text) = of_home(cli)
    assert (level, "pepper can be read by others (mode 0444)" in text) == ("wrong", True)
    assert "defaultMode" in findings(cli, "home")[-1]["run"]


def test_a_mounted_home_without_a_pepper_is_told_what_to_mount(cli: Cli, mounted: Path) -> None:
    (mounted / "pepper").unlink()
    _, (level, text) = of_home(cli)
    assert (level, "none can be made there" in text) == ("wrong", True)
    assert "secrets.token_hex(32)" in findings(cli, "home")[-1]["run"]


def test_a_pepper_by_reference_is_read_where_it_is(
    cli: Cli, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mounted / "pepper").unlink()
    (mounted / "holdfast.toml").chmod(0o600)
    (mounted / "holdfast.toml").write_text(f'{DATABASE}[store]\npepper = "env:PEPPER"\n')
    _, (level, text) = of_home(cli)
    assert (level, text.startswith("store.pepper: env: ")) == ("wrong", True)
    monkeypatch.setenv("PEPPER", "5e" * 32)
    assert [each[0] for each in of_home(cli)] == ["ok"]


def test_a_home_that_cannot_be_written_is_wrong_where_it_has_to_hold_the_store(
    cli: Cli, mounted: Path
) -> None:
    (mounted / "holdfast.toml").chmod(0o600)
    (mounted / "holdfast.toml").write_text("")
    assert ("wrong", f"{mounted} cannot be written: nothing can be stored") in of_home(cli)


@rows(
    "mode, step",
    [(0o400, ""), (0o440, ""), (0o444, "ls -lL"), (0o460, "ls -lL"), (0o644, "ls -lL")],
)
def test_the_mode_of_a_mounted_key_may_be_its_group_s(mode: int, step: str, mounted: Path) -> None:
    (mounted / "key").chmod(mode)
    assert step in FileSource(str(mounted / "key")).note()
    assert bool(FileSource(str(mounted / "key")).note()) == bool(step)


def test_a_gateway_of_the_home_that_is_not_listed_is_no_other_program() -> None:
    context = SimpleNamespace(listener_at=lambda _: Listener.OURS)
    finding = _configured(context, "http://127.0.0.1:4141", "0.0.0.0:4141")  # type: ignore[arg-type]
    assert (finding.level, "a gateway of this home answers" in finding.what) == ("ok", True)
