"""What we show of the tests of others: the example's tests pass, and the page's programs run."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest

from holdfast import testing

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "testing.md"


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("test_agent", ROOT / "examples" / "test_agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TESTS: dict[str, Callable[[Path], None]] = {
    name: test for name, test in vars(_example()).items() if name.startswith("test_")
}


@pytest.mark.parametrize("name", TESTS)
def test_each_test_of_the_example_passes_without_waiting(name: str, tmp_path: Path) -> None:
    began = time.monotonic()
    TESTS[name](tmp_path / "home")
    assert time.monotonic() - began < 5


def test_every_program_of_the_testing_page_runs_as_it_stands(tmp_path: Path) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(programs) > 2
    names: dict[str, Any] = {}
    for program in programs:
        exec(compile(program, str(PAGE), "exec"), names)
    tests = [name for name in names if name.startswith("test_")]
    assert len(tests) > 2
    for name in tests:
        names[name](tmp_path / name)


def test_every_name_for_tests_is_documented_on_the_testing_page() -> None:
    page = PAGE.read_text("utf-8")
    assert [name for name in testing.__all__ if f"`{name}" not in page] == []


def test_an_async_turn_waits_on_the_fake_clock_too(tmp_path: Path) -> None:
    clock = testing.FakeClock(now=1_900_000_000.0)
    throttled = testing.status(429, headers={"retry-after": "5"})

    async def ask(options: Any) -> str | None:
        async with openai.AsyncOpenAI(**options) as client:
            turn = await client.chat.completions.create(
                model="scripted-1", messages=[{"role": "user", "content": "hi"}]
            )
        return turn.choices[0].message.content

    with (
        testing.ScriptedProvider([throttled, testing.ok("hi")]) as provider,
        testing.open_home(tmp_path, provider, clock=clock) as hf,
    ):
        session = hf.session("s", "scripted/scripted-1")
        assert asyncio.run(ask(session.for_openai_async())) == "hi"
        assert session.row.created_at == 1_900_000_000.0
    assert 5 <= sum(clock.slept) == clock.now - 1_900_000_000.0


def test_a_home_for_tests_reads_no_key_of_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    with testing.ScriptedProvider(models=None) as provider, testing.open_home(tmp_path, provider) as hf:
        assert hf.config.providers["scripted"].models is None
        with openai.OpenAI(**hf.session("s", "scripted/any").for_openai()) as client:
            client.models.list()
    assert {seen.key for seen in provider.requests} == {"sk-test-a"}
