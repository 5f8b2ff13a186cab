"""Files that people have, and what they become: the folders of tests/data/imports (its README.md says how one
is written)."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.config import Config
from holdfast.importers.entries import Entry, ImportResult
from holdfast.importers.plan import plan
from holdfast.importers.programs import PROGRAMS
from holdfast.importers.recognise import refuse_foreign
from holdfast.values.secret import Secret

CASES = Path(__file__).parents[1] / "data" / "imports"
FAKE = re.compile(r"[A-Za-z0-9_.+/=-]*FAKE[A-Za-z0-9_.+/=-]*")
MEMBERS = {
    *("program", "path", "env", "source"),
    *("providers", "fallbacks", "must_tell", "must_not_tell", "must_not"),
}


class Case:
    """One case, with its files copied to a folder that the importer may look around in."""

    def __init__(self, name: str, folder: Path) -> None:
        text = (CASES / name / "expected.json").read_text("utf-8")
        self.files = folder / "f"
        shutil.copytree(CASES / name / "f", self.files)
        self.texts = [path.read_text("utf-8") for path in self.files.rglob("*") if path.is_file()]
        for script in self.files.rglob("*.sql"):
            with closing(sqlite3.connect(script.with_suffix(""))) as database:
                database.executescript(script.read_text("utf-8"))
            script.unlink()
        self.expected: dict[str, Any] = json.loads(text.replace("{f}", str(self.files)))
        assert set(self.expected) <= MEMBERS, "a member that the runner does not know"

    def imported(self, monkeypatch: pytest.MonkeyPatch) -> ImportResult:
        environ = {"HOME": str(self.files), **self.expected.get("env", {})}
        monkeypatch.setenv("HOME", environ["HOME"])
        monkeypatch.chdir(self.files)
        path = self.expected.get("path")
        given = None if path is None else self.files.parent / path
        program = PROGRAMS[self.expected["program"]]
        if given is not None:
            refuse_foreign(program, given)
        result = import_module(f"holdfast.importers.{program.module}").read(given, environ)
        assert isinstance(result, ImportResult)
        return result

    def secrets(self) -> set[str]:
        texts = [*self.texts, *self.expected.get("env", {}).values()]
        return {match[0] for text in texts for match in FAKE.finditer(text)}


def names() -> list[str]:
    return sorted(path.parent.name for path in CASES.glob("*/expected.json"))


def without_order(table: dict[str, Any]) -> dict[str, Any]:
    if "models" in table:
        table = {**table, "models": sorted(table["models"], key=str)}
    return table


def pairs(entry: Entry) -> Iterator[tuple[str, str]]:
    """Every key of an entry, by its reference and its value, with every host where it would be sent."""
    provider = entry.provider()
    for key, ours in zip(entry.keys, provider.keys, strict=True):
        values = [value.reveal() for value in (key.secret, key.seen) if isinstance(value, Secret)]
        for endpoint in ours.endpoints or provider.endpoints:
            for shown in (key.ref, ours.ref, *values):
                yield shown, endpoint.host


@pytest.mark.parametrize("name", names())
def test_the_files_of_a_program_become_what_they_must(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(name, tmp_path)
    expected = case.expected
    result = case.imported(monkeypatch)
    planned = plan(result, Config(), copied=True)
    tables = {str(entry.name): without_order(entry.table(copied=True)) for entry in planned.new}
    assert tables == {name: without_order(table) for name, table in expected["providers"].items()}
    assert {pin: list(then) for pin, then in planned.fallbacks} == expected.get("fallbacks", {})

    uncopied = plan(result, Config())
    notes = dict.fromkeys(f"{what}: {why}" for what, why in (*uncopied.notes, *planned.notes))
    for wanted in expected.get("must_tell", []):
        parts = [wanted] if isinstance(wanted, str) else wanted
        assert any(all(part in note for part in parts) for note in notes), (wanted, list(notes))
    for unwanted in expected.get("must_not_tell", []):
        assert not [note for note in notes if unwanted in note]

    standing = {pair for entry in planned.new for pair in pairs(entry)}
    assert not standing & {(key, host) for key, host in expected.get("must_not", [])}

    toml = f"{planned.text()}\n{uncopied.text()}"
    assert tomllib.loads(planned.text()).get("provider", {}).keys() == tables.keys()
    shown = "\n".join((*notes, toml, repr(result), repr(planned)))
    for secret in case.secrets():
        assert secret not in shown
