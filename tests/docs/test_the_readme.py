"""The README's first steps are followed as printed, with a provider on this machine in place of the reader's,
and a small program in place of Pi."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.fake_provider import ScriptedProvider, ok, only_keys

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "https://llm.acme.example/v1"
AGENT = ROOT / "tests" / "harness" / "program.py"


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    script = only_keys({"key-one", "key-two"}, ok("Still here."))
    with ScriptedProvider(script, models=["big-model"]) as running:
        yield running


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """The reader's environment: a home, two keys, `holdfast` and a program called `pi` on the path."""
    programs = tmp_path / "programs"
    programs.mkdir()
    agent = programs / "pi"
    agent.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {AGENT} "$@" --do ask\n', encoding="utf-8")
    agent.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HOLDFAST_HOME": str(home), "NO_COLOR": "1"}


def block(language: str, holding: str) -> str:
    """Return the README's block of `language` that holds a piece of text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (only,) = [text for text in blocks if holding in text]
    return str(only)


def test_the_first_steps_of_the_readme_end_with_an_answer(
    provider: ScriptedProvider, environment: dict[str, str], tmp_path: Path
) -> None:
    steps = block("sh", "holdfast run pi").replace(URL, provider.url)
    keys = "ACME_KEY=key-one ACME_SPARE=key-two"
    assert "ACME_KEY=... ACME_SPARE=..." in steps
    steps = f"set -e\n{steps.replace('ACME_KEY=... ACME_SPARE=...', keys)}"
    done = subprocess.run(
        ["bash", "-c", steps],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = done.stderr.strip().splitlines()[-1].replace("127.0.0.1", "llm.acme.example")
    assert counted(last) == counted(block("text", "answered 14").strip())


def counted(line: str) -> str:
    """Return a line with its numbers, plurals and port made alike."""
    return re.sub(r"(request|attempt)s\b", r"\1", re.sub(r"\d+", "N", re.sub(r":\d+", "", line)))


def test_the_python_program_of_the_readme_runs(
    provider: ScriptedProvider, environment: dict[str, str], home: Path
) -> None:
    (home / "holdfast.toml").write_text(
        f'[provider.acme]\nurl = "{provider.url}"\nmodels = ["big-model"]\nkeys = ["env:ACME_KEY"]\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block("python", "import openai")],
        env={**environment, "ACME_KEY": "key-one"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Still here.\n", "")


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= 150


def test_the_first_screen_says_what_it_is_and_how_to_start() -> None:
    screen = "\n".join(README.splitlines()[:45])
    assert "LLM agents" in screen
    assert "uv tool install '.[cli,gateway]'" in screen
    assert "holdfast run pi --pin" in screen
