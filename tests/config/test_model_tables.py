"""A model may be written as a table of its limits and abilities, and keeps them through every edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import config as config_file
from holdfast.config import Home, load
from holdfast.config.catalog import options
from holdfast.config.model_tables import written
from holdfast.config.old_words import RENAMED
from holdfast.config.upgrade import upgrade
from holdfast.core.config import Config, ModelFacts
from holdfast.core.errors import ConfigError
from holdfast.core.identity import Pin, ProviderName

BIG: ModelFacts = {"context": 200_000, "output": 32_000, "input": ("text", "image"), "reasoning": True}
FILE = """\
[provider.a]
url = "https://a.example/v1"
models = [
  "plain",
  # the big one
  { id = "big", context = 200_000, output = 32_000, input = ["text", "image"], reasoning = true },
  { id = "bare" },
]

[provider.b]
url = "https://b.example/v1"
[[provider.b.models]]
id = "org/x"
reasoning = false
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "holdfast.toml").write_text(FILE)
    return Home.at(tmp_path)


LISTED: ModelFacts = {"output": 7}


def models(config: Config, name: str) -> tuple[str, ...] | None:
    return config.providers[ProviderName(name)].models


def test_a_table_declares_a_model_with_what_is_known_of_it(home: Home) -> None:
    config = load(home)
    assert models(config, "a") == ("plain", "big", "bare")
    assert models(config, "b") == ("org/x",)
    assert config.facts == {Pin.parse("a/big"): BIG, Pin.parse("b/org/x"): {"reasoning": False}}


def test_pickers_get_what_is_known_of_each_model(home: Home) -> None:
    config = load(home)
    discovered: dict[str, dict[str, ModelFacts]] = {"a": {"plain": {}, "big": LISTED, "more": LISTED}}
    offered = {str(option.pin): option.facts for option in options(config, discovered)}
    assert offered == {
        "a/plain": {},
        "a/big": BIG,
        "a/bare": {},
        "b/org/x": {"reasoning": False},
        "a/more": LISTED,
    }


def test_a_mistake_in_a_model_s_table_is_told_with_its_line(home: Home) -> None:
    home.config.write_text(FILE.replace("reasoning = true", "reasonin = true"))
    with pytest.raises(ConfigError) as caught:
        load(home)
    (problem,) = caught.value.problems
    assert (problem.what, problem.fix, problem.location) == (
        "unknown key 'reasonin'",
        "did you mean 'reasoning'?",
        "holdfast.toml:6",
    )


def test_names_that_are_set_anew_keep_what_the_file_says_about_them(home: Home) -> None:
    config = config_file.set_models(home, "a", ["big", "new"])
    assert models(config, "a") == ("big", "new")
    assert config.facts[Pin.parse("a/big")] == BIG
    config = config_file.set_models(home, "b", ["y", "org/x"])
    assert (models(config, "b"), config.facts[Pin.parse("b/org/x")]) == (("y", "org/x"), {"reasoning": False})


def test_tables_pass_through_edits_and_an_upgrade_to_the_byte(home: Home) -> None:
    after = FILE + '\n[fallback]\n"a/big" = { then = ["b/org/x"] }\n'
    (old,) = (word for word, today in RENAMED.items() if today == "fallback")
    home.config.write_text(after.replace("[fallback]", f"[{old}]"))
    upgrade(home, lambda _: None)
    assert home.config.read_text() == after
    config = config_file.rename_provider(home, "a", "c")
    after = after.replace("[provider.a]", "[provider.c]").replace('"a/big"', '"c/big"')
    assert home.config.read_text() == after
    assert config.facts[Pin.parse("c/big")] == BIG


def test_a_new_provider_is_written_with_a_line_for_each_table(home: Home) -> None:
    entry = {
        "url": "https://c.example/v1",
        "models": ["m", written("big", **BIG), written("n", context=1000)],
    }
    config = config_file.add_provider(home, "c", entry)
    assert config.facts[Pin.parse("c/big")] == BIG
    assert home.config.read_text().endswith(
        'models = [\n    "m",\n'
        '    {id = "big", context = 200000, output = 32000, input = ["text", "image"], reasoning = true},\n'
        '    {id = "n", context = 1000},\n]\n'
    )


def test_what_another_program_says_is_written_as_far_as_the_file_may_hold_it() -> None:
    assert written("m") == "m"
    assert written("m", context=None, output=0, input=[], reasoning=None) == "m"
    assert written("m", context="128k", output=-1, input=["smell"], reasoning="high") == "m"
    assert written("m", context=1, output=2.5, input=("text", "smell", "text", 3), reasoning=False) == {
        "id": "m",
        "context": 1,
        "input": ["text"],
        "reasoning": False,
    }
