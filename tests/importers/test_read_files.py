"""Files of other programs may be broken or hostile: what comes of them is a value or one clear refusal,
without a word of their content."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from holdfast.core.errors import ConfigError
from holdfast.distribution import install_command
from holdfast.importers.read_files import LONGEST, LONGEST_SLOW, table_of, variables_of

SECRET = "sk-canary-4d1c0b7e9f2a5836"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
MERGES = "a: &a {k: v, l: w}\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)}\n  <<: [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(22)
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", BOMB, "holds more values, or deeper"),
        ("c.yaml", MERGES, "merges more values|holds more"),
        ("c.yaml", "a: &a\n  b: *a\n", "holds more values, or deeper"),
        (
            "c.yaml",
            f"x: !!python/object/apply:os.system ['echo {SECRET}']\n",
            "is not plain YAML near line 1",
        ),
        ("c.yaml", f"a: b: {SECRET}\n", "is not plain YAML near line 1"),
        ("c.yaml", f"? [{SECRET}]\n: 1\n", "is not plain YAML"),
        ("c.yaml", "x: 2001-99-99\n", "holds a value that cannot be read"),
        ("c.yaml", f"x: 1{':0' * 300}.0\n", "holds a value that cannot be read"),
        ("c.json", f'{{"x": {"9" * 5000}}}', "is not JSON near line 1"),
        ("c.json", '{"a": 1,\n"a": 2}', "is not JSON near line 2"),
        ("c.json", '{"\\u00": 1}', "is not JSON near line 1"),
        ("c.json", "[" + "[]," * 349_000 + "[]]", "holds more values, or deeper"),
        ("c.json", '{"a": [1, 2\n// and more\n3]}', "is not JSON near line 3"),
        ("c.json", '"' + '\\"' * 400_000, "is not JSON near line 1"),
        ("c.json", "/*" * 400_000, "is not JSON|is not a table"),
        ("c.yaml", "[" * 5000, "nested too deeply|is not plain YAML"),
        ("c.yaml", f"- {SECRET}\n", "is not a table of settings"),
        ("c.json", '{"a": ' * 100_000, "nested too deeply|is not JSON"),
        ("c.json", f'{{"key": "{SECRET}"', "is not JSON near line 1"),
        ("c.json", f'"{SECRET}"', "is not a table of settings"),
        ("c.toml", f'key = "{SECRET}', "is not TOML"),
        ("c.toml", "a = " + "[" * 5000, "nested too deeply|is not TOML"),
        ("c.json", " " * (LONGEST + 1), "is longer than"),
        (
            "c.yaml",
            "- a\n" * 140_000,
            "is longer than 262144 bytes, which no configuration in this format is",
        ),
        ("c.yml", " " * (LONGEST_SLOW + 1), "is longer than 262144 bytes"),
        ("c.toml", "a" + ".a" * 300_000 + " = 1\n", "is longer than 262144 bytes"),
        (
            "c.toml",
            "a" + ".a" * 20_000 + " = 1\n",
            "has a name of more parts than a configuration has",
        ),
        ("c.toml", "x = {a" + ".a" * 20_000 + " = 1}\n", "has a name of more parts"),
    ],
)
def test_a_hostile_or_broken_file_is_refused_at_once_and_without_its_content(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match=message) as refusal:
        table_of(tmp_path / name)
    assert SECRET not in str(refusal.value)
    assert refusal.value.next_step
    limit = 5
    if sys.gettrace() is not None:  # coverage looks at every line
        limit *= 4
    assert time.process_time() - began < limit


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, make: object) -> None:
    make(tmp_path / "c.json")  # type: ignore[operator]
    with pytest.raises(ConfigError, match="is not a regular file"):
        table_of(tmp_path / "c.json")


def test_what_is_no_text_is_refused_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        table_of(tmp_path / "c.json")
    assert table_of(tmp_path / "gone.yaml") is None


def test_a_link_is_followed_because_people_link_their_dot_files(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"a": 1}')
    (tmp_path / "c.json").symlink_to(tmp_path / "real")
    assert table_of(tmp_path / "c.json") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            '// head\n{"a": "http://x/*no comment*/", /* c */ "b": [1, 2,], }\n',
            {"a": "http://x/*no comment*/", "b": [1, 2]},
        ),
        ('{"a": "quote \\" // still text", "b": ",}"}', {"a": 'quote " // still text', "b": ",}"}),
        ("", {}),
        ("\ufeff{}", {}),
    ],
)
def test_json_with_comments_and_trailing_commas_is_read_as_its_programs_read_it(
    tmp_path: Path, text: str, value: object
) -> None:
    (tmp_path / "c.jsonc").write_text(text, "utf-8")
    assert table_of(tmp_path / "c.jsonc") == value


def test_anchors_and_merges_of_ordinary_size_are_understood(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("base: &base {key: a, url: u}\none: {<<: *base, key: b}\nempty:\n")
    assert table_of(tmp_path / "c.yaml") == {
        "base": {"key": "a", "url": "u"},
        "one": {"key": "b", "url": "u"},
        "empty": None,
    }


def test_variables_of_a_dotenv_are_read_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    text = "# note\nA=1\nexport B='two words' # c\nC=\"x#y\"\nD=$(touch gone) # c\nE=\nnot a line\n2F=no\n"
    (tmp_path / ".env").write_text(text)
    assert variables_of(tmp_path / ".env") == {
        "A": "1",
        "B": "two words",
        "C": "x#y",
        "D": "$(touch gone)",
        "E": "",
    }
    assert variables_of(tmp_path / "gone") == {}


def test_without_pyyaml_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "c.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match="needs the package 'pyyaml'") as refusal:
        table_of(tmp_path / "c.yaml")
    assert refusal.value.next_step == install_command("import")


def test_a_line_of_many_spaces_is_read_in_one_pass(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A = x" + " " * 900_000 + "y # said\n")
    assert variables_of(tmp_path / ".env")["A"].endswith("  y")
