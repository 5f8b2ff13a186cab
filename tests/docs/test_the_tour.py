"""The pages of docs/ show what really happens: their commands, programs and configurations are run here."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

import holdfast
from holdfast import config as config_file
from holdfast.config.parse import parse
from holdfast.core.config import Config
from holdfast.core.errors import ConfigError
from holdfast.fake_provider import ScriptedProvider, ok, only_keys
from holdfast.providers import presets

ROOT = Path(__file__).parents[2]
TEXT = "Still here."
PROVIDERS = {
    "mimo-plan": ("mimo-v2.5-pro", "openai-chat"),
    "deepseek": ("deepseek-chat", "openai-chat"),
    "kimi": ("kimi-k2", "anthropic-messages"),
}


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / "_generate" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reader(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of somebody who follows the documents: their providers answer, each to its own key."""
    with ScriptedProvider(only_keys({f"key-of-{name}" for name in PROVIDERS}, ok(TEXT))) as provider:
        for name, (model, dialect) in PROVIDERS.items():
            variable = f"KEY_{name.replace('-', '_').upper()}"
            monkeypatch.setenv(variable, f"key-of-{name}")
            url = provider.root if dialect == "anthropic-messages" else provider.url
            config_file.add_provider(
                config_file.Home.at(home),
                name,
                {"url": url, "dialect": dialect, "models": [model], "keys": [f"env:{variable}"]},
            )
        yield home


def printed(program: Path, *arguments: str) -> str:
    """Return what a program prints that ends well. It runs here, where the SDKs are imported already; a
    warning is an error."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output:
        patch.setattr(sys, "argv", [str(program), *arguments])
        runpy.run_path(str(program), run_name="__main__")
    return output.getvalue()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, in which a warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ},
    )


def test_the_tour_prints_what_the_commands_print(home: Path) -> None:
    tour = tool("tour")
    page = "docs/guides/tour.md"
    text = (ROOT / page).read_text(encoding="utf-8")
    commands = [command for body in blocks(page, "console") for command in tour.commands(body)]
    assert len(commands) > 8
    assert tour.steady(tour.played(text, home)) == tour.steady(text)


def test_the_tour_shows_the_port_that_its_provider_takes_by_default() -> None:
    program = (ROOT / "examples" / "provider.py").read_text(encoding="utf-8")
    assert f"PORT = {tool('tour').SHOWN_PORT}\n" in program


@pytest.mark.parametrize(
    ("lie", "noticed"),
    [
        ("answered in 0 s", False),
        ("answered in 3 s", False),
        ("refused in 0 s", True),
        ("answered in 0 s twice", True),
    ],
)
def test_only_times_and_request_ids_of_the_tour_may_differ(lie: str, noticed: bool) -> None:
    tour = tool("tour")
    assert (tour.steady(lie) != tour.steady("answered in 0 s")) is noticed


def test_every_program_of_the_librarys_guide_runs_as_it_stands(reader: Path, tmp_path: Path) -> None:
    programs = blocks("docs/guides/library.md", "python")
    assert len(programs) > 3
    script = tmp_path / "guide.py"
    script.write_text("\n\n".join(programs), encoding="utf-8")
    output = printed(script)
    assert output.count(TEXT) == 2
    assert "deepseek/deepseek-chat\n" in output
    assert "could be: mimo-plan/mimo-v2.5-pro" in output
    assert output.endswith("True\n")


def test_every_program_of_the_librarys_page_runs_as_it_stands(reader: Path, tmp_path: Path) -> None:
    programs = blocks("docs/reference/library.md", "python")
    assert len(programs) > 3
    script = tmp_path / "library.py"
    script.write_text("\n\n".join(programs), encoding="utf-8")
    output = printed(script)
    assert output.count(TEXT) == 2
    assert "deepseek/deepseek-chat KEY_DEEPSEEK 1" in output
    assert "could be: mimo-plan/mimo-v2.5-pro" in output


@pytest.mark.parametrize(
    ("name", "pin"), [("openai_sync", "mimo-plan/mimo-v2.5-pro"), ("anthropic_streaming", "kimi/kimi-k2")]
)
def test_an_example_answers_and_goes_on_without_the_pin_being_given(
    name: str, pin: str, reader: Path
) -> None:
    program = ROOT / "examples" / f"{name}.py"
    for arguments in (("issue-42", pin), ("issue-42",)):
        assert printed(program, *arguments).strip() == TEXT


def test_an_example_without_a_choice_says_how_to_make_one(reader: Path) -> None:
    lost = run(ROOT / "examples" / "openai_sync.py", "issue-43")
    assert lost.returncode == 1
    assert "run: holdfast session pin issue-43 PROVIDER/MODEL" in lost.stderr


def read(text: str) -> Config:
    return parse(tomllib.loads(text), presets=presets.find, locate=lambda path: path)


def test_every_configuration_of_a_document_is_one() -> None:
    examples = blocks("docs/reference/configuration.md", "toml")
    assert len(examples) > 3
    for example in examples:
        assert read(example) != Config(), example


def test_the_defaults_that_the_configurations_page_names_are_the_codes() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| .*\(`([^`]+)`(?: \w+)?\)(?:;[^|]*)? \|$",
            page.partition("## `[settings]`")[2],
            re.MULTILINE,
        )
    )
    settings = rows.keys() & {"probe_delays", "replay_limit", "wait_budget", "known_good_days"}
    assert len(settings) == 4
    assert read("[settings]\n" + "\n".join(f"{name} = {rows[name]}" for name in settings)) == Config()
    assert read("[gateway]\n" + "\n".join(f"{name} = {rows[name]}" for name in ("listen",))) == Config()


@pytest.mark.parametrize(
    "wrong",
    [
        "[provider.custom]\nurl = 'https://x.example'",
        "[provider.a]\nurl = 'https://x.example'\nkeys = ['sk-literal-key-0123456789']",
    ],
)
def test_what_the_configurations_page_calls_an_error_is_one(wrong: str) -> None:
    with pytest.raises(ConfigError):
        read(wrong)


def test_every_public_name_is_documented_on_the_librarys_page() -> None:
    page = (ROOT / "docs" / "reference" / "library.md").read_text(encoding="utf-8")
    assert not [name for name in holdfast.__all__ if f"{name}" not in page]
