"""Answers without a class are kept on this machine as shapes, each once, at most so many, and shown as a line
for the collection."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

import holdfast
from cli.conftest import cli as _cli
from cli.furnishing import Cli
from holdfast.core.faults import FaultClass, Reply
from holdfast.engine.anonymize import digest
from holdfast.engine.unclassified import MOST, UnclassifiedReplies
from holdfast.fake_provider import ScriptedProvider, status
from holdfast.providers import profiles

cli = _cli
ODD = status(
    418,
    {"error": {"message": "alice-canary brewed tea", "code": "teapot_overheated"}},
    headers={"x-account": "alice-canary"},
)


def test_an_unknown_answer_is_kept_as_a_shape_and_reported_as_a_line(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K1", "sk-key-one-1234567")
    with ScriptedProvider(ODD) as provider:
        (home / "holdfast.toml").write_text(
            f'[provider.acme-canary]\nurl = "{provider.url}"\nkeys = ["env:K1"]\n'
        )
        with holdfast.open() as hf:
            session = hf.session("s", "acme-canary/m")
            with httpx2.Client(
                transport=session.transport(), base_url="http://holdfast.invalid/v1"
            ) as client:
                for _ in range(2):
                    assert (
                        client.post("/chat/completions", json={"model": "m", "messages": []}).headers[
                            "holdfast-fault"
                        ]
                        == FaultClass.UNKNOWN
                    )
            assert "holdfast report --list" in session.explain()
    listed = json.loads(cli("report", "--list", "--json").stdout)
    assert [(reply["status"], reply["count"], reply["profile"]) for reply in listed] == [(418, 1, "generic")]
    output = cli("report", listed[0]["id"][:4]).stdout
    line = json.loads(output)
    assert {
        "provider",
        "case",
        "status",
        "headers",
        "body",
        "expected_class",
        "source",
        "observed",
        "evidence",
    } <= set(line)
    assert json.loads(line["body"]) == {
        "error": {"message": f"<string {len('alice-canary brewed tea')}>", "code": "teapot_overheated"}
    }
    assert "canary" not in output + cli("report").stdout
    path = next((home / "unknown").iterdir())
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.usefixtures("home")
def test_an_id_that_nothing_has_names_the_list(cli: Cli) -> None:
    refused = cli("report", "7c1e")
    assert (refused.exit_code, "holdfast report --list" in refused.stderr) == (2, True)
    assert "no unrecognised error so far" in cli("report").stdout


def test_only_so_many_shapes_are_kept_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    kept, generic = UnclassifiedReplies(tmp_path), profiles.load(None)
    ids = [kept.keep(Reply(code), generic, 1000.0 + code) for code in range(600, 600 + MOST + 5)]
    assert len(list(kept.all())) == MOST
    assert kept.find(ids[-1]) is not None
    (kept.directory / f"{ids[-1]}.json").write_text("{")
    assert kept.find(ids[-1]) is None
    assert kept.find("") is None


def test_a_shape_that_comes_again_is_counted_at_most_once_a_minute(tmp_path: Path) -> None:
    kept, generic = UnclassifiedReplies(tmp_path), profiles.load(None)
    for at in (100.0, 130.0, 200.0):
        name = kept.keep(Reply(600), generic, at)
    sample = kept.find(name)
    assert sample is not None
    assert (sample.count, sample.first_at, sample.last_at, digest(sample.shape)) == (2, 100.0, 200.0, name)


def test_a_directory_that_cannot_be_written_costs_no_request(tmp_path: Path) -> None:
    (tmp_path / "unknown").write_text("in the way")
    assert len(UnclassifiedReplies(tmp_path).keep(Reply(600), profiles.load(None), 1.0)) == 12
