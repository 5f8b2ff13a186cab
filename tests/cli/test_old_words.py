"""Words of older versions in holdfast.toml: refused with the line of today, and rewritten by `holdfast config
upgrade`."""

from __future__ import annotations

import json
import stat
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli.furnishing import Cli, contents, write
from fixtures.plain_config import plain
from holdfast import _files
from holdfast.config import Home, load, upgrade
from holdfast.core.errors import ConfigError

OLD = Path(__file__).parents[1] / "fixtures" / "old_configs"
READ_BY_6F19264 = json.loads((OLD / "as_read.json").read_text())
FILES = sorted(READ_BY_6F19264)
PROVIDERS = '\n[provider.a]\nurl = "https://a.example/v1"\n[provider.b]\nurl = "https://b.example/v1"\n'
TABLE = '[ladder]\n"a/m" = { then = ["b/m"] }\n' + PROVIDERS


@pytest.fixture
def toml(home: Path) -> Path:
    return home / "holdfast.toml"


def problems(toml: Path) -> list[tuple[str, str, str]]:
    """Return the problems of the file: location, what is wrong, and the fix."""
    with pytest.raises(ConfigError) as refused:
        load(Home.at(toml.parent))
    return [(problem.location, problem.what, problem.fix) for problem in refused.value.problems]


# What the file begins with, and for each line with an old word what has to stand there.
REFUSED: dict[str, tuple[str, dict[int, str]]] = {
    "a table": ('[ladder]\n"a/m" = { then = ["b/m"] }', {1: "[fallback]"}),
    "an empty table with blanks and a comment": ("\n  [ ladder ] # [x]", {2: "[ fallback ]"}),
    "a quoted table": ('["ladder"]', {1: '["fallback"]'}),
    "a table in literal quotes": ("['ladder']", {1: "['fallback']"}),
    "a table with an escape in its name": ('["l\\u0061dder"]', {1: '["fallback"]'}),
    "a key with an escape and a dot": (
        '"ladde\\u0072"."a/m".then = ["b/m"]',
        {1: '"fallback"."a/m".then = …'},
    ),
    "tables of their own": (
        '[ladder."a/]"]\nthen = ["b/m"]\n[ ladder . \'a/n\']#]\nthen = ["b/m"]',
        {1: '[fallback."a/]"]', 3: "[ fallback . 'a/n']"},
    ),
    "a value": ('ladder = { "a/m" = { then = ["b/m"] } }', {1: "fallback = …"}),
    "dotted keys": (
        'ladder."a/m".then = [\n"b/m"]\n"ladder" . "a/n".then = ["b/m"]',
        {1: 'fallback."a/m".then = …', 3: '"fallback" . "a/n".then = …'},
    ),
}


@pytest.mark.parametrize(("text", "lines"), REFUSED.values(), ids=REFUSED)
def test_an_old_word_is_refused_with_the_line_of_today(
    text: str, lines: dict[int, str], toml: Path, cli: Cli
) -> None:
    write(toml, text + PROVIDERS)
    assert problems(toml) == [
        (
            f"holdfast.toml:{number}",
            f"'ladder' is called 'fallback' now: write {line}",
            "holdfast config upgrade",
        )
        for number, line in lines.items()
    ]
    for command in ("provider", "session"):
        refused = cli(command, "list")
        assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (2, "  run: holdfast config upgrade")


@pytest.mark.parametrize(("text", "lines"), REFUSED.values(), ids=REFUSED)
def test_an_upgrade_writes_the_lines_that_the_refusal_names(
    text: str, lines: dict[int, str], toml: Path, cli: Cli
) -> None:
    write(toml, text + PROVIDERS)
    assert cli("config", "upgrade").exit_code == 0
    after = toml.read_text().splitlines()
    assert all(line.removesuffix(" …") in after[number - 1] for number, line in lines.items())
    assert load(Home.at(toml.parent)).providers.keys() == {"a", "b"}


# Files that `holdfast config upgrade` refuses, with the line and what has to be done there.
LEFT_TO_THE_USER = {
    "both tables": ('[ladder]\n"a/m" = { then = ["b/m"] }\n[fallback]\n', 1, "move its rows into [fallback]"),
    "one row in both": (
        '[fallback."a/m"]\nthen = ["b/m"]\n[ladder."a/m"]\nthen = ["b/m"]\n',
        3,
        "move its rows into [fallback]",
    ),
    "an inline table beside a table": ("ladder = {}\n[fallback]\n", 1, "move its rows into [fallback]"),
    "a name with an escape beside the table": (
        '["l\\u0061dder"]\n[fallback]\n',
        1,
        "move its rows into [fallback]",
    ),
}


@pytest.mark.parametrize(("text", "line", "says"), LEFT_TO_THE_USER.values(), ids=LEFT_TO_THE_USER)
def test_what_cannot_be_upgraded_is_explained_without_a_command_that_refuses(
    text: str, line: int, says: str, toml: Path, cli: Cli
) -> None:
    write(toml, text + PROVIDERS)
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    advice = [row["run"] for row in findings if row["check"] == "config"]
    assert set(advice) <= {f"${{EDITOR:-vi}} +{number} {toml}" for number in (line, 1)}
    for command in (("provider", "list"), ("config", "upgrade")):
        refused = cli(*command)
        assert refused.exit_code == 2
        assert says in refused.stderr
        assert "holdfast config upgrade" not in refused.stderr


def test_other_mistakes_are_reported_beside_an_old_word_with_their_own_lines(toml: Path) -> None:
    write(toml, TABLE.replace('"b/m"]', '"nobody/m"]') + 'urls = "x"\n')
    assert problems(toml) == [
        ("holdfast.toml:1", "'ladder' is called 'fallback' now: write [fallback]", "holdfast config upgrade"),
        ("holdfast.toml:8", "unknown key 'urls'", "did you mean 'url'?"),
        ("holdfast.toml:2", "'nobody/m' names a provider that is not in this file", "known here: a, b"),
    ]


def test_doctor_sends_to_the_command_that_rewrites_the_file(toml: Path, cli: Cli) -> None:
    write(toml, TABLE)
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    assert [row["run"] for row in findings if row["check"] == "config"] == ["holdfast config upgrade"]


def test_no_other_command_edits_a_file_with_an_old_word(toml: Path, cli: Cli) -> None:
    write(toml, TABLE)
    refused = cli("key", "add", "a", "--from", "env:A_KEY")
    assert refused.exit_code == 2
    assert "run: holdfast config upgrade" in refused.stderr
    assert toml.read_text() == TABLE


def with_lasting_labels(read: dict[str, Any]) -> dict[str, Any]:
    """The same with the names that keys have today which were called by their position then."""
    for provider in read["providers"].values():
        for position, key in enumerate(provider["keys"], start=1):
            scheme = key["ref"].partition(":")[0]
            if key["label"] == f"k{position}" and scheme in ("file", "cmd", "keyring"):
                key["label"] = f"{scheme}-{sha256(key['ref'].encode()).hexdigest()[:8]}"
    return read


@pytest.mark.parametrize("name", FILES)
def test_an_upgraded_file_says_what_older_software_read_in_it(name: str, toml: Path, cli: Cli) -> None:
    toml.write_bytes((OLD / name).read_bytes())
    assert cli("config", "upgrade").exit_code == 0
    assert plain(load(Home.at(toml.parent))) == with_lasting_labels(READ_BY_6F19264[name])


@pytest.mark.parametrize("name", FILES)
def test_an_upgrade_changes_nothing_but_the_old_words(name: str, toml: Path, cli: Cli) -> None:
    before = (OLD / name).read_bytes()
    toml.write_bytes(before)
    cli("config", "upgrade")
    changed = list(
        zip(before.splitlines(keepends=True), toml.read_bytes().splitlines(keepends=True), strict=True)
    )
    assert {old.replace(b"ladder", b"fallback", 1) for old, new in changed if old != new} == {
        new for old, new in changed if old != new
    }
    assert b"".join(old for old, new in changed) == before


@pytest.mark.parametrize("name", FILES)
def test_a_second_upgrade_finds_nothing_to_do(name: str, toml: Path, cli: Cli) -> None:
    toml.write_bytes((OLD / name).read_bytes())
    cli("config", "upgrade")
    before = contents(toml.parent)
    again = cli("config", "upgrade")
    assert (again.exit_code, again.stdout) == (0, f"{toml} has no old words. Nothing was changed.\n")
    assert contents(toml.parent) == before


def test_an_upgrade_keeps_the_mode_and_the_first_bytes_of_the_file(toml: Path, cli: Cli) -> None:
    text = ("\N{ZERO WIDTH NO-BREAK SPACE}" + TABLE.replace("\n", "\r\n")).encode()
    toml.write_bytes(text)
    toml.chmod(0o640)
    cli("config", "upgrade")
    assert stat.S_IMODE(toml.stat().st_mode) == 0o640
    assert toml.read_bytes() == text.replace(b"[ladder]", b"[fallback]")


def test_the_file_as_it_was_is_kept_and_named(toml: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.config.upgrade.time.strftime", lambda _: "20261129-120000")
    for number, kept in enumerate(("", "-2", "-3")):
        text = f"# {number}\n{TABLE}"
        write(toml, text)
        toml.chmod(0o640)
        backup = toml.with_name(f"holdfast.toml.backup-20261129-120000{kept}")
        assert cli("config", "upgrade").stdout.splitlines() == [
            f"Upgraded {toml}:",
            "  line 2: [ladder] is now [fallback]",
            f"The file as it was: {backup}",
        ]
        assert (backup.read_text(), stat.S_IMODE(backup.stat().st_mode)) == (text, 0o640)


def test_a_link_stays_a_link_and_its_file_is_upgraded(toml: Path, cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "dotfiles.toml", TABLE)
    toml.symlink_to(tmp_path / "dotfiles.toml")
    assert cli("config", "upgrade").exit_code == 0
    assert toml.is_symlink()
    assert "[fallback]" in (tmp_path / "dotfiles.toml").read_text()


def test_an_upgrade_can_be_read_by_a_program(toml: Path, cli: Cli) -> None:
    write(toml, TABLE)
    done = json.loads(cli("config", "upgrade", "--json").stdout)
    assert done["changes"] == [{"line": 1, "before": "[ladder]", "after": "[fallback]"}]
    assert Path(done["backup"]).read_text() == TABLE
    assert json.loads(cli("config", "upgrade", "--json").stdout) == {
        "file": str(toml),
        "changes": [],
        "backup": None,
    }


def test_without_a_file_there_is_nothing_to_upgrade_and_nothing_is_made(home: Path, cli: Cli) -> None:
    assert cli("config", "upgrade").exit_code == 0
    assert list(home.iterdir()) == []


# The content of the file, and what the refusal says.
BROKEN = {
    "no TOML": (TABLE + "[provider.c\n", ["is not TOML", "holdfast.toml:8:"]),
    "another mistake": (
        TABLE + 'urls = "x"\n',
        ["to be corrected first", "holdfast.toml:8: provider.b.urls"],
    ),
    "a mistake and no old word": (
        '[provider.c]\nurls = "x"\n',
        ["is wrong", "holdfast.toml:2: provider.c.urls"],
    ),
    "both words": (TABLE + "[fallback]\n", ["cannot be rewritten safely", "holdfast.toml:1: ladder"]),
    "no table": ("ladder = 1\n" + PROVIDERS, ["to be corrected first", "fallback: must be a table"]),
    "a list of tables": ("[[ladder]]\n" + PROVIDERS, ["to be corrected first", "fallback: must be a table"]),
}


@pytest.mark.parametrize(("text", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_not_upgraded_and_nothing_is_changed(
    text: str, says: list[str], toml: Path, cli: Cli
) -> None:
    write(toml, text)
    before = contents(toml.parent)
    refused = cli("config", "upgrade")
    assert refused.exit_code == 2
    assert [words for words in says if words not in refused.stderr] == []
    assert contents(toml.parent) == before


def test_tables_under_both_words_become_one_where_that_is_safe(toml: Path, cli: Cli) -> None:
    write(toml, '[ladder."a/m"]\nthen = ["b/m"]\n[fallback."a/n"]\nthen = ["b/m"]\n' + PROVIDERS)
    assert cli("config", "upgrade").exit_code == 0
    assert sorted(plain(load(Home.at(toml.parent)))["fallbacks"]) == ["a/m", "a/n"]


@pytest.mark.parametrize(("module", "failing"), [(upgrade, "creating"), (_files, "replacing")])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    module: ModuleType, failing: str, toml: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    write(toml, TABLE)
    before = contents(toml.parent)
    monkeypatch.setattr(module, failing, full)
    refused = cli("config", "upgrade")
    assert refused.exit_code == 2
    assert "No space left on device; nothing was changed" in refused.stderr
    assert contents(toml.parent) == before
