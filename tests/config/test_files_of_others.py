"""Files that others than the user and root could have written: nothing reads them, and every face says how to
mend it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import holdfast
from holdfast import _files
from holdfast.cli import app
from holdfast.config import home as homes
from holdfast.core.errors import ConfigError
from holdfast.credentials.secrets_file import SecretsFile

CONFIG = '[provider.mine]\nurl = "https://mine.example/v1"\nmodels = ["m"]\nkeys = ["store:a"]\n'
TEXTS = {
    "holdfast.toml": CONFIG,
    "secrets.toml": '[mine]\na = "sk-0123456789abcdef"\n',
    ".holdfast.toml": 'pin = "mine/m"\n',
}
SOMEBODY = 54321


def ask(home: Path, name: str) -> Any:
    """Read the file as every face does, by its one reader."""
    if name == "secrets.toml":
        return SecretsFile(home / name).get("mine", "a")
    config = homes.load(homes.Home.at(home))
    if name == "holdfast.toml":
        return config
    return homes.project_pin(config, home / "project")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "project" / "below").mkdir(parents=True)
    for name, text in TEXTS.items():
        path = path_of(tmp_path, name)
        path.write_text(text)
        path.chmod(0o600)
    return tmp_path


def path_of(home: Path, name: str) -> Path:
    return home / "project" / name if name.startswith(".") else home / name


def belongs_to_somebody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file look as if another user owned it: tests need not be root."""
    inode, real = path.stat().st_ino, os.fstat

    def fstat(handle: int) -> os.stat_result:
        status = real(handle)
        if status.st_ino != inode:
            return status
        values = list(status)
        values[4] = SOMEBODY
        return os.stat_result(values)

    monkeypatch.setattr(_files.os, "fstat", fstat)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o664, 0o646, 0o666, 0o777])
def test_a_file_that_others_can_write_is_refused_with_its_command(files: Path, name: str, mode: int) -> None:
    path = path_of(files, name)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="can be written by others") as refused:
        ask(files, name)
    assert refused.value.next_step == f"chmod go-w {path}"
    assert os.system(refused.value.next_step) == 0
    assert ask(files, name)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_another_user_is_refused_with_its_command(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(files, name)
    belongs_to_somebody(path_of(files, name), monkeypatch)
    with pytest.raises(ConfigError, match=f"belongs to another user .uid {SOMEBODY}.") as refused:
        ask(files, name)
    assert refused.value.next_step.startswith(f"chown -h {os.geteuid()} {path_of(files, name)} ")


@pytest.mark.parametrize("name", TEXTS)
def test_a_link_that_another_user_made_chooses_no_file(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(files, name)
    real = path.with_name("elsewhere")
    path.rename(real)
    path.symlink_to(real)
    assert ask(files, name)
    link = path.lstat()
    monkeypatch.setattr(
        _files.Path, "lstat", lambda _: os.stat_result([*link[:4], SOMEBODY, *link[5:]]), raising=True
    )
    with pytest.raises(ConfigError, match="belongs to another user"):
        ask(files, name)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o755])
def test_a_file_of_ours_or_of_root_is_read_whoever_may_read_it(
    files: Path, name: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path_of(files, name).chmod(mode)
    assert ask(files, name)
    monkeypatch.setattr(_files.os, "geteuid", lambda: path_of(files, name).stat().st_uid or SOMEBODY)
    assert ask(files, name)


def test_where_files_have_no_owners_all_are_read(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_files.os, "geteuid")
    assert _files.trusted_owners() == ()
    assert ask(files, "holdfast.toml")


COMMANDS: dict[str, list[str]] = {
    "models": ["models"],
    "check": ["check", "mine/m"],
    "session": ["session", "pin", "work", "mine/m"],
    "provider": ["provider", "list"],
    "key": ["key", "list"],
    "env": ["env"],
    "run": ["run", "pi", "--pin", "mine/m"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_configuration_that_others_can_write(
    command: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(files))
    (files / "holdfast.toml").chmod(0o666)
    result = CliRunner().invoke(app, COMMANDS[command])
    assert result.exit_code == 2, result.output
    assert f"chmod go-w {files / 'holdfast.toml'}" in result.stderr


def test_the_library_refuses_a_configuration_that_others_can_write(files: Path) -> None:
    (files / "holdfast.toml").chmod(0o666)
    with pytest.raises(ConfigError, match="can be written by others"), holdfast.open(files) as opened:
        opened.session("work", "mine/m")


def test_the_gateway_does_not_start_on_a_configuration_that_others_can_write(
    files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from holdfast.gateway.__main__ import main

    monkeypatch.setenv("HOLDFAST_HOME", str(files))
    (files / "holdfast.toml").chmod(0o666)
    starts: Callable[..., int] = main
    assert starts(["--listen", "127.0.0.1:0"]) == 2
    assert f"chmod go-w {files / 'holdfast.toml'}" in capfd.readouterr().err
