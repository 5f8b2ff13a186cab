"""The line of each path in a TOML text: as parsing every beginning of the text gives it, in linear time."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.config import Home, Lines, load, positions
from holdfast.config.old_words import RENAMED, old_lines
from holdfast.config.positions import first_lines
from holdfast.config.toml_spans import spans

from .toml_oracle import check_spans, lines_by_parsing

OLD_WORD = next(iter(RENAMED))
NAMES = ("a", "b-1", "2", '"q.r"', "'[s]'", '"t = 1"', r'"\u00e9\""', '""')
SCALARS = (
    "1",
    "-1.5e3",
    "true",
    "1979-05-27 07:32:00",
    '""',
    '"a ] # no comment"',
    r'"\"\\"',
    "'{ \"'",
    '"""\n[x]\n y = [ "\n"""',
    '"""in ""one"" line"""""',
    r'''"""a \
       \""" b"""''',
    "'''\n[[z]] # '\n'''''",
)
GAPS = ("", " ", "\n", "\n  # ] comment\n\t", "\r\n")
KEYS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(" . ".join)


def array(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gap = st.sampled_from(GAPS)
    rows = st.lists(st.tuples(gap, values, gap).map("".join), max_size=4).map(",".join)
    return st.tuples(rows, gap).map(lambda parts: f"[{''.join(parts)}]")


def inline_table(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEYS, values).map(" = ".join), max_size=3)
    return pairs.map(lambda pairs: f"{{ {', '.join(pairs)} }}")


VALUES = st.recursive(
    st.sampled_from(SCALARS), lambda values: array(values) | inline_table(values), max_leaves=4
).filter(lambda value: value.count("[") < 4)
STATEMENTS = st.one_of(
    st.tuples(KEYS, VALUES).map(" = ".join),
    KEYS.map(lambda key: f"[ {key} ]"),
    KEYS.map(lambda key: f"  [[{key}]]  # [c]"),
    st.sampled_from(["", "# [comment]", '# """']),
)
TEXTS = st.lists(STATEMENTS, max_size=6)


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@settings(max_examples=3 * settings.default.max_examples, deadline=None)
@given(TEXTS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_each_path_has_the_line_after_which_it_exists(
    statements: list[str], end: str, ends_with_line: bool
) -> None:
    text = ""
    for statement in statements:  # a statement that contradicts an earlier one is left out
        longer = text + statement + end
        if is_toml(longer):
            text = longer
    if not ends_with_line:
        text = text.removesuffix(end)
    assert first_lines(text) == lines_by_parsing(text)
    check_spans(text)


@settings(max_examples=3 * settings.default.max_examples, deadline=None)
@given(st.text(alphabet="a=.[]{}\"'\\#,\n ", max_size=40))
def test_a_small_text_has_the_lines_that_parsing_gives_it(text: str) -> None:
    if is_toml(text):
        assert first_lines(text) == lines_by_parsing(text)


def cpu_seconds(text: str) -> float:
    """Return the shortest of three runs, in seconds of this process."""
    runs = []
    for _ in range(3):
        begun = time.process_time()
        lines = Lines(text, "f")
        lines.locate("provider.a.models[1]")
        lines.locate(f"{OLD_WORD}.x")
        spans(text)
        old_lines(text)
        runs.append(time.process_time() - begun)
    return min(runs)


@pytest.mark.parametrize(
    ("before", "row"),
    [
        ("[provider.a]\nmodels = [\n", '  "vendor/model-{}",  # [a comment]\n'),
        ("[provider.a]\nmodels = [\n", '  {{ id = "model-{}", context = 1000, input = ["text"] }},\n'),
        ("[provider.a]\nmodels = [\n", "[ {} ],\n"),
        ("", "[provider.a{}]\nurl = 'https://x.example/v1'\n"),
        ("", "[[a]]\nb = {}\n"),
        ("", OLD_WORD + '."a/{}" = ["b/c"]\n'),
        ('a = """\n', f"[b.{{}}] {OLD_WORD} = 1\n"),
        ("[a]\n", "key-{} = 1\n"),
    ],
)
def test_four_times_the_lines_take_about_four_times_the_time(before: str, row: str) -> None:
    after = {'a = """\n': '"""\n', "[provider.a]\nmodels = [\n": "]\n"}.get(before, "")
    size = 250
    texts = [before + "".join(row.format(number) for number in range(n)) + after for n in (size, 4 * size)]
    assert all(map(is_toml, texts))
    few, many = map(cpu_seconds, texts)
    assert many < 9 * few  # sixteen times, if it grew with the square


def test_a_loaded_configuration_has_read_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.at(tmp_path)
    home.config.write_text("[provider.a]\npreset = 'openai'\nurl = 'https://x.example/v1'\n")
    home.config.chmod(0o600)
    config = load(home)
    monkeypatch.setattr(positions, "first_lines", None)
    assert config.locate("provider.a.url") == "holdfast.toml:3"
