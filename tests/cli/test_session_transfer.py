"""Sessions on the move (NousResearch/hermes-agent#37224, #22407, #76937: choose a key for a session, rebind a
live one): a plan first, no guess, nothing that does not resolve, and never a key in a file."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

import holdfast
from cli.furnishing import CANARY, KEPT, Cli, contents
from cli.test_commands import shown, store_of
from holdfast.config import Home
from holdfast.config import load as load_config
from holdfast.core.session import Session
from holdfast.engine.session_moves import carry_out, plan
from holdfast.fake_provider import ScriptedProvider, ok


@pytest.fixture
def moving(cli: Cli, furnished: Path) -> Path:
    """Three sessions on mimo, one of them with a key that its user chose, and one elsewhere; `plan` declares
    one of mimo's models."""
    with (furnished / "holdfast.toml").open("a") as file:
        file.write(
            '[provider.plan]\nurl = "https://plan.example/v1"\n'
            'models = ["mimo-pro", "big"]\nkeys = ["env:MIMO_KEY"]\n'
        )
    for session, pin, *more in (
        ("a", "mimo/mimo-pro"),
        ("b", "mimo/mimo-lite"),
        ("c", "mimo/mimo-pro", "--key", "team"),
        ("d", "both/big"),
    ):
        assert cli("session", "pin", session, pin, *more).exit_code == 0
    return furnished


def pins(home: Path) -> dict[str, tuple[str, str | None]]:
    with store_of(home) as store:
        return {session.id: (str(session.pin), session.key) for session in store.sessions()}


def test_a_plan_says_of_each_session_where_it_would_go_or_why_it_stays_and_changes_nothing(
    cli: Cli, moving: Path
) -> None:
    before = contents(moving)
    output = cli("session", "move", "--from", "mimo", "--to", "plan").stdout
    assert contents(moving) == before
    assert [line.split()[2] for line in output.splitlines()[1:4]].count("plan/mimo-pro") == 1
    assert "'plan' does not declare 'mimo-lite': --model mimo-lite=ITS-NAME-THERE" in output
    assert "its user chose key 'team', which 'plan' cannot have: --key LABEL" in output
    assert "1 session would move; nothing was changed" in output
    assert "run: holdfast session move --from mimo --to plan --apply" in output
    assert " d " not in output


def test_apply_moves_what_the_plan_moves_and_says_what_stayed(cli: Cli, moving: Path) -> None:
    result = cli("session", "move", "--from", "mimo", "--to", "plan", "--model", "mimo-lite=big", "--apply")
    assert (result.exit_code, "2 sessions moved" in result.stdout) == (1, True)
    assert pins(moving) == {
        "a": ("plan/mimo-pro", None),
        "b": ("plan/big", None),
        "c": ("mimo/mimo-pro", "team"),
        "d": ("both/big", None),
    }
    again = cli("session", "move", "--from", "mimo", "--to", "plan", "--key", "MIMO_KEY", "--apply")
    assert again.exit_code == 0
    assert pins(moving)["c"] == ("plan/mimo-pro", "MIMO_KEY")
    assert "moved: with all sessions of mimo" in cli("why", "b").stdout


def test_a_plan_as_json_has_a_stable_shape(cli: Cli, moving: Path) -> None:
    moves = shown(cli, "session", "move", "--from", "mimo", "--to", "plan")
    assert {move["id"]: (move["to"], move["moved"]) for move in moves} == {
        "a": ("plan/mimo-pro", False),
        "b": (None, False),
        "c": (None, False),
    }
    assert set(moves[0]) == {"id", "pin", "to", "key", "why_not", "follow", "moved"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--from", "mimo", "--to", "mimo"), 2, "the sessions are on 'mimo' already"),
        (("--from", "mimo", "--to", "gone"), 3, "there is no provider 'gone'"),
        (("--from", "mimo", "--to", "plan", "--model", "mimo-lite"), 2, "--model takes OLD=NEW"),
    ],
)
def test_a_move_that_cannot_be_meant_is_refused(
    cli: Cli, moving: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = cli("session", "move", *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True)


def test_no_session_moves_to_a_provider_without_a_list_or_without_the_key(cli: Cli, moving: Path) -> None:
    moves = shown(cli, "session", "move", "--from", "mimo", "--to", "both")
    assert all("declares no list of models" in move["why_not"] for move in moves)
    moves = shown(cli, "session", "move", "--from", "mimo", "--to", "plan", "--key", "nope")
    assert "has no key 'nope'" in next(move["why_not"] for move in moves if move["id"] == "c")


def test_a_session_that_somebody_changed_after_the_plan_stays_as_they_want(cli: Cli, moving: Path) -> None:
    with store_of(moving) as store:
        moves = plan(load_config(Home.at(moving)), store.sessions(), "mimo", "plan")
        cli("session", "pin", "a", "both/big")
        assert [move.session.id for move in carry_out(store, moves)] == ["a"]
    assert pins(moving)["a"] == ("both/big", None)


def test_an_exported_session_holds_its_choice_and_no_secret_and_comes_back_whole(
    cli: Cli, moving: Path, tmp_path: Path
) -> None:
    text = cli("session", "export", "c").stdout
    document = json.loads(text)
    assert (document["holdfast"], document["version"], document["pin"], document["key"]) == (
        "session",
        2,
        "mimo/mimo-pro",
        "team",
    )
    assert document["endpoints"] == {"openai-chat": "https://mimo.example/v1"}
    assert CANARY not in text
    assert KEPT not in text
    cli("session", "remove", "c")
    (tmp_path / "c.json").write_text(text)
    assert cli("session", "import", str(tmp_path / "c.json")).exit_code == 0
    assert pins(moving)["c"] == ("mimo/mimo-pro", "team")
    assert cli("session", "import", "-", "--as", "c2", input=text).exit_code == 0
    assert pins(moving)["c2"] == ("mimo/mimo-pro", "team")


# What `holdfast session export` of 6f19264 printed, but for the key.
EXPORTED_BY_6F19264 = """\
{
  "holdfast": "session",
  "version": 1,
  "id": "old",
  "pin": "mimo/mimo-pro",
  "key": KEY,
  "created_at": 1795978497.25,
  "endpoints": {
    "openai-chat": "https://mimo.example/v1"
  }
}
"""


@pytest.mark.parametrize("key", ["team", None])
def test_a_session_that_older_software_exported_comes_back_whole(
    cli: Cli, moving: Path, key: str | None
) -> None:
    text = EXPORTED_BY_6F19264.replace("KEY", json.dumps(key))
    assert cli("session", "import", "-", input=text).exit_code == 0
    assert pins(moving)["old"] == ("mimo/mimo-pro", key)


def test_a_key_that_an_older_file_names_by_a_position_is_never_taken(cli: Cli, moving: Path) -> None:
    config = moving / "holdfast.toml"
    config.write_text(config.read_text().replace('label = "team"', 'label = "k2"'))
    text = EXPORTED_BY_6F19264.replace("KEY", '"k2"')
    refused = cli("session", "import", "-", input=text)
    assert refused.exit_code == 3
    assert "could be: MIMO_KEY\n  could be: k2" in refused.stderr
    step = refused.stderr.splitlines()[-1]
    again, choose = step.removeprefix("  run: holdfast ").removesuffix(")").split("   (then: holdfast ")
    assert cli(*again.replace("FILE", "-").split(), input=text).exit_code == 0
    assert cli(*choose.replace("LABEL", "k2").split()).exit_code == 0
    assert pins(moving)["old"] == ("mimo/mimo-pro", "k2")
    today = text.replace('"version": 1', '"version": 2').replace('"old"', '"new"')
    assert cli("session", "import", "-", input=today).exit_code == 0
    assert pins(moving)["new"] == ("mimo/mimo-pro", "k2")


def test_an_import_never_lands_on_a_session_or_at_a_place_that_was_not_meant(cli: Cli, moving: Path) -> None:
    text = cli("session", "export", "a").stdout
    assert "there is a session 'a' already" in cli("session", "import", "-", input=text).stderr
    assert cli("session", "import", "-", "--replace", "--pin", "plan/big", input=text).exit_code == 0
    assert pins(moving)["a"] == ("plan/big", None)
    elsewhere = text.replace("https://mimo.example/v1", "https://other.example/v1")
    refused = cli("session", "import", "-", "--as", "x", input=elsewhere)
    assert (
        refused.exit_code,
        "'mimo' is at https://mimo.example/v1 here, and at https://other.example/v1 in the file"
        in refused.stderr,
    ) == (3, True)
    gone = cli("session", "import", "-", "--as", "x", input=text.replace("mimo/mimo-pro", "nobody/m"))
    assert (gone.exit_code, "holdfast provider add nobody --url https://mimo.example/v1" in gone.stderr) == (
        3,
        True,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a session exported by Holdfast"),
        ("[" * 100_000, "not a session exported by Holdfast"),
        ('{"holdfast": "session", "version": 3}', "reads versions 1 to 2"),
        ('{"holdfast": "session", "version": "1"}', "reads versions 1 to 2"),
        ('{"holdfast": "session"}', "reads versions 1 to 2"),
        ('{"holdfast": "session", "version": 1, "id": "x"}', "cannot be read"),
        ('{"holdfast": "session", "version": 1, "id": "x", "pin": "custom/m"}', "cannot be read"),
        ('{"holdfast": "session", "version": 1, "id": "../x", "pin": "mimo/m"}', "cannot be read"),
        ('{"holdfast": "session", "version": 1, "id": 5, "pin": "mimo/m"}', "cannot be read"),
        ('{"holdfast": "session", "version": 1, "id": "x", "pin": 5}', "cannot be read"),
        (
            '{"holdfast": "session", "version": 1, "id": "x", "pin": "mimo/m", "endpoints": 7}',
            "not a session exported by Holdfast",
        ),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_with_what_to_do(
    cli: Cli, moving: Path, text: str, message: str
) -> None:
    result = cli("session", "import", "-", input=text)
    assert (result.exit_code, message in result.stderr) == (2, True)
    assert cli("session", "import", str(moving / "nowhere.json")).exit_code == 2


@pytest.mark.parametrize("moment", ["1e400", "9" * 400, "NaN", "-5", '"yesterday"', "1e300"])
def test_a_session_that_began_at_no_moment_begins_now(cli: Cli, moving: Path, moment: str) -> None:
    document = json.loads(cli("session", "export", "d").stdout) | {"id": "new", "created_at": "HERE"}
    assert cli("session", "import", "-", input=json.dumps(document).replace('"HERE"', moment)).exit_code == 0
    assert cli("session", "show", "new").exit_code == 0


def test_a_list_says_which_sessions_would_not_resume_today_and_why(cli: Cli, moving: Path) -> None:
    with store_of(moving) as store:
        session = store.session("d")
        assert session is not None
        store.save_session(Session("gone", session.pin.parse("lost/m"), created_at=1.0), None)
    sessions = {session["id"]: session for session in shown(cli, "session", "list")}
    assert sessions["d"]["resumes"] is True
    assert (sessions["gone"]["resumes"], sessions["gone"]["why_not"]) == (
        False,
        "there is no provider 'lost', which 'lost/m' names",
    )
    assert sessions["gone"]["run"].startswith("holdfast provider add lost")


def test_a_live_session_follows_a_key_and_a_move_that_another_process_chose(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K1", "sk-key-one-1234567")
    monkeypatch.setenv("K2", "sk-key-two-1234567")
    with ScriptedProvider(ok("hi")) as old, ScriptedProvider(ok("hi")) as new:
        entries = [(name, provider.url) for name, provider in (("old", old), ("new", new))]
        (home / "holdfast.toml").write_text(
            "".join(
                f'[provider.{n}]\nurl = "{u}"\nmodels = ["m"]\nkeys = ["env:K1", "env:K2"]\n'
                for n, u in entries
            )
        )
        with (
            holdfast.open() as hf,
            httpx2.Client(
                transport=hf.session("s", "old/m").transport(), base_url="http://holdfast.invalid/v1"
            ) as client,
        ):

            def ask() -> tuple[str, str]:
                answer = client.post("/chat/completions", json={"model": "m", "messages": []})
                return answer.headers["holdfast-pin"], answer.headers["holdfast-key"]

            assert ask() == ("old/m", "K1")
            assert cli("session", "pin", "s", "old/m", "--key", "K2").exit_code == 0
            hf.engine.look_again()
            assert ask() == ("old/m", "K2")
            assert (
                cli("session", "move", "--from", "old", "--to", "new", "--key", "K1", "--apply").exit_code
                == 0
            )
            hf.engine.look_again()
            assert ask() == ("new/m", "K1")
        assert (len(old.calls), len(new.calls)) == (2, 1)
