"""The commands that install Holdfast name what runs: its checkout, its wheel or a path to fill in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import holdfast.cli
from holdfast import distribution
from holdfast.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
PIP = f"{sys.executable} -m pip install"
UV = f"uv pip install --python {sys.executable}"


class Installed:
    """Pretends that distributions are installed, with what their direct_url.json holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.urls: dict[str, str | None] = {}
        self.pip = True
        monkeypatch.setattr(metadata, "distribution", self._found)
        monkeypatch.setattr(metadata, "version", lambda name: self._found(name) and "7.1")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: self.pip or None)

    def _found(self, name: str) -> Installed:
        if name not in self.urls:
            raise metadata.PackageNotFoundError(name)
        return self

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.urls["holdfast-llm"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(monkeypatch)


def recorded(path: Path, **more: object) -> str:
    return json.dumps({"url": path.as_uri(), **more})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "a clone" / ".git").mkdir(parents=True)
    return tmp_path / "a clone"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "holdfast_llm-0.1.0-py3-none-any.whl"
    path.touch()
    return path


def test_an_editable_copy_is_installed_again_from_its_checkout(installed: Installed, checkout: Path) -> None:
    installed.urls["holdfast-llm"] = recorded(checkout, dir_info={"editable": True})
    assert distribution.install_command("cli") == f"{PIP} -e '{checkout}[cli]'"
    assert distribution.update_command() == f"git -C '{checkout}' pull"


def test_a_copy_of_a_checkout_is_installed_again_from_it(installed: Installed, checkout: Path) -> None:
    installed.urls["holdfast-llm"] = recorded(checkout, dir_info={})
    assert distribution.install_command("cli") == f"{PIP} '{checkout}[cli]'"
    assert distribution.update_command() == f"git -C '{checkout}' pull && {PIP} '{checkout}'"


def test_an_installed_wheel_is_named_while_it_is_there(installed: Installed, wheel: Path) -> None:
    installed.urls["holdfast-llm"] = recorded(wheel, archive_info={})
    assert distribution.install_command("oauth") == f"{PIP} '{wheel}[oauth]'"
    assert distribution.update_command() == f"{PIP} /path/to/holdfast"
    wheel.unlink()
    assert distribution.install_command("oauth") == f"{PIP} '/path/to/holdfast[oauth]'"


@pytest.mark.parametrize(
    "origin", [None, "{}", "not json", '{"url": "https://example.com/holdfast_llm.whl"}']
)
def test_a_copy_of_unknown_origin_is_installed_from_a_path_to_fill_in(
    origin: str | None, installed: Installed
) -> None:
    installed.urls["holdfast-llm"] = origin
    assert distribution.install_command("import") == f"{PIP} '/path/to/holdfast[import]'"
    assert distribution.update_command() == f"{PIP} /path/to/holdfast"


def test_an_environment_without_pip_is_installed_into_by_uv(installed: Installed, wheel: Path) -> None:
    installed.pip = False
    installed.urls = {"holdfast": "{}", "holdfast-llm": recorded(wheel)}
    assert distribution.install_command("cli") == f"{UV} '{wheel}[cli]'"
    assert (
        distribution.without_namesake_command()
        == f"uv pip uninstall --python {sys.executable} holdfast holdfast-llm && {UV} {wheel}"
    )


def test_a_copy_that_was_never_installed_still_answers(installed: Installed) -> None:
    assert (distribution.version(), distribution.namesake(), distribution.origin()) == ("unknown", "", None)


def test_a_package_that_is_called_holdfast_is_found_and_removed(installed: Installed, checkout: Path) -> None:
    installed.urls = {"holdfast": None, "holdfast-llm": recorded(checkout, dir_info={})}
    assert distribution.namesake() == "7.1"
    assert (
        distribution.without_namesake_command()
        == f"{sys.executable} -m pip uninstall -y holdfast holdfast-llm && {PIP} '{checkout}'"
    )


def test_a_built_wheel_is_holdfast_llm_with_the_module_and_command_holdfast(tmp_path: Path) -> None:
    def run(*command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    uv = Path(sys.executable).with_name("uv")
    run(
        uv,
        "build",
        "--quiet",
        "--offline",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--wheel",
        "-o",
        tmp_path / "dist",
        ROOT,
    )
    (built,) = (tmp_path / "dist").glob("*.whl")
    assert built.name.startswith("holdfast_llm-")

    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, built)
    hint = run(python.with_name("holdfast"), "key", "list", code=2).stderr
    assert hint.splitlines()[-1] == f"  run: uv pip install --python {python} '{built}[cli]'"
    about = run(
        python,
        "-c",
        "from importlib.metadata import metadata as m; print(m('holdfast-llm').get_all('Requires-Dist'))",
    ).stdout
    assert set(re.findall(r"holdfast[\w-]*", about)) == {"holdfast-llm"}


def test_on_windows_the_command_line_and_the_library_say_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(distribution, "SYSTEM", "nt")
    assert holdfast.cli.main(["provider", "list"]) == 2
    assert capsys.readouterr().err == f"holdfast: {distribution.NOT_HERE}\n  run: {distribution.INSTEAD}\n"
    with pytest.raises(ConfigError, match="does not run on Windows"):
        holdfast.open(tmp_path)
