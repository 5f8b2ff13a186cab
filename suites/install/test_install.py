"""What packaging/release.py makes, installed in every way that people install commands, each time afresh."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache" / "install" / "bin"
UV = Path(sys.executable).with_name("uv")
URL = "https://files.example/holdfast"
RELEASE: Any = runpy.run_path(str(ROOT / "packaging" / "release.py"))
VERSION = RELEASE["version"]()


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a release."""
    folder = tmp_path_factory.mktemp("release")
    assert RELEASE["main"]([str(folder), "--url", URL, "--pex", str(TOOLS / "pex")]) == 0
    return folder


def wheel_of(release: Path) -> Path:
    return release / f"holdfast_llm-{VERSION}-py3-none-any.whl"


def run(command: list[object], home: Path, **environment: str) -> str:
    """Run a command in a home of its own. Return what it printed; a failure fails the test."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "PYTHON"))
    }
    clean |= {"HOLDFAST_HOME": str(home / "holdfast"), **environment}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=home,
        env=clean,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def works(command: list[object], home: Path, **environment: str) -> None:
    """Check that an installed command runs, with the files that its package has."""
    assert run([*command, "--version"], home, **environment) == f"holdfast {VERSION}\n"
    run([*command, "init"], home, **environment)
    assert (home / "holdfast" / "holdfast.toml").exists()
    assert '"title": "holdfast.toml"' in run([*command, "config", "schema"], home, **environment)
    assert "openrouter" in run([*command, "provider", "presets"], home, **environment)


def find_python(version: str) -> str:
    """Return the interpreter of a version, on PATH or of pyenv; "" where there is none."""
    of_pyenv = [str(path.parent) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")]
    path = os.pathsep.join([*of_pyenv, os.environ["PATH"]])
    lookup = [str(UV), "python", "find", "--no-python-downloads", "--system", version]
    done = subprocess.run(
        lookup, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def constraints(release: Path) -> Path:
    """Return the release's requirements without hashes, as the resolvers take them that have the wheel."""
    path = release / "constraints.txt"
    lock = (release / RELEASE["LOCK"]).read_text("utf-8")
    path.write_text(re.sub(r"( \\)?\n +--hash\S+", "", lock), "utf-8")
    return path


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_wheel_runs_on_each_python(python: str, release: Path, tmp_path: Path) -> None:
    interpreter = find_python(python)
    if not interpreter:
        pytest.skip(f"there is no Python {python} here")
    folder = tmp_path / "environment"
    RELEASE["install_locked"](folder, release / RELEASE["LOCK"], wheel_of(release), interpreter)
    works([folder / "bin" / "holdfast"], tmp_path)
    works_as_module = run([folder / "bin" / "python", "-m", "holdfast", "--version"], tmp_path)
    assert works_as_module == f"holdfast {VERSION}\n"


def test_pip_installs_the_sdist(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    RELEASE["install_locked"](folder, release / RELEASE["LOCK"], wheel_of(release))
    python = folder / "bin" / "python"
    backend = tmp_path / "backend.txt"
    text = (ROOT / "requirements.lock").read_text("utf-8")
    backend.write_text(re.search(r"^uv-build==.*?(?=^\S|^    #)", text, re.MULTILINE | re.DOTALL)[0])  # type: ignore[index]
    run([UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", backend], tmp_path)
    sdist = release / f"holdfast_llm-{VERSION}.tar.gz"
    command = [UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation"]
    run([*command, "--reinstall", sdist], tmp_path)
    works([folder / "bin" / "holdfast"], tmp_path)


def test_uv_installs_the_command(release: Path, tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    command = [UV, "tool", "install", "--quiet", "--python", sys.executable]
    command += ["--constraints", constraints(release), f"{wheel_of(release)}[cli,gateway]"]
    run(command, tmp_path, **folders)
    works([tmp_path / "bin" / "holdfast"], tmp_path)


def test_pipx_installs_the_command(release: Path, tmp_path: Path) -> None:
    folders = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    command = [TOOLS / "pipx", "install", "--quiet", f"--pip-args=--constraint {constraints(release)}"]
    run([*command, f"{wheel_of(release)}[cli,gateway]"], tmp_path, **folders)
    works([tmp_path / "bin" / "holdfast"], tmp_path)


def test_one_file_runs_the_command_and_the_demo(release: Path, tmp_path: Path) -> None:
    (single,) = release.glob("*.pex")
    works([single], tmp_path, PEX_ROOT=str(tmp_path / "pex"))
    printed = run([single, "demo"], tmp_path, PEX_ROOT=str(tmp_path / "pex"))
    assert re.search(r"(\d+) of \1 promises held", printed)


def test_the_files_for_homebrew_and_scoop_name_the_release_by_its_hashes(release: Path) -> None:
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((release / name).read_bytes()).hexdigest() for name in sums}
    assert len(sums) == 4
    wheel, lock = wheel_of(release).name, RELEASE["LOCK"]
    formula = (release / "holdfast.rb").read_text("utf-8")
    manifest = json.loads((release / "holdfast.json").read_text("utf-8"))
    for text in (formula, json.dumps(manifest)):
        assert not re.search(r"@[A-Z]", text)
        assert all(name in text for name in (sums[wheel], sums[lock], f"{URL}/{wheel}", f"{URL}/{lock}"))
    assert manifest["hash"] == [sums[wheel], sums[lock]]
    if shutil.which("ruby"):
        assert run(["ruby", "-c", release / "holdfast.rb"], release) == "Syntax OK\n"


def test_what_macos_lacks_is_not_missed(release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    RELEASE["install_locked"](folder, release / RELEASE["LOCK"], wheel_of(release))
    (packages,) = folder.glob("lib/python*/site-packages")
    shutil.copy(Path(__file__).with_name("like_macos.py"), packages)
    (packages / "like_macos.pth").write_text("import like_macos\n")
    command, home = folder / "bin" / "holdfast", {"HOME": str(tmp_path), "HOLDFAST_HOME": ""}
    where = run([command, "config", "path"], tmp_path, **home).strip()
    assert where == f"{tmp_path}/Library/Application Support/holdfast/holdfast.toml"
    assert re.search(r"(\d+) of \1 promises held", run([command, "demo"], tmp_path, **home))
    run([command, "init"], tmp_path, **home)
    serve = [command, "serve", "--workers", "2", "--listen", "127.0.0.1:0", "--background"]
    run(serve, tmp_path, **home)
    try:
        url = json.loads(run([command, "status", "--json"], tmp_path, **home))[0]["url"]
        listen = url.removeprefix("http://")
        run([command, "serve", "--replace", "--listen", listen, "--background"], tmp_path, **home)
    finally:
        assert "has ended" in run([command, "stop"], tmp_path, **home)
