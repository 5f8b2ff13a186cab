"""Bad input gets a message with its place and the next command, an exit code, and nothing is lost."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.furnishing import CANARY, CONFIG, Cli, contents, write
from holdfast.cli import app
from holdfast.values.key_labels import label_of


def added(text: str) -> Callable[[Path], None]:
    """The furnished file with `text` at its end."""
    return lambda home: write(home / "holdfast.toml", f"{CONFIG}\n{text}\n")


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda home: (home / name).write_bytes(content) and None  # type: ignore[func-returns-value]


def foreign(home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.execute("CREATE TABLE theirs (x)")
        database.commit()


def nothing(home: Path) -> None:
    """The furnished home as it is."""


# What is wrong, how it comes about, the command, its exit code, and what the message says.
WRONG: dict[str, tuple[Callable[[Path], None], list[str], int, list[str]]] = {
    "not TOML": (added("[provider.x"), ["key", "list"], 2, ["holdfast.toml:19:", "run: ${EDITOR:-vi} +19"]),
    "an unknown key": (
        added('[provider.x]\nbase_url = "https://x.example"'),
        ["key", "list"],
        2,
        ["holdfast.toml:20", "provider.x.base_url", "did you mean 'url'"],
    ),
    "a literal secret": (
        added(f'[provider.x]\nurl = "https://x.example"\nkeys = ["{CANARY}"]'),
        ["models"],
        2,
        ["holdfast.toml:21", "key add x --from env:"],
    ),
    "the name of a kind": (
        added('[provider.custom]\nurl = "https://x.example"'),
        ["session", "list"],
        2,
        ["holdfast.toml:19", "'custom' is a kind", "run:"],
    ),
    "a kind, when adding": (
        nothing,
        ["provider", "add", "custom", "--url", "https://x.example"],
        2,
        ["'custom' is a kind, not a name", "run: holdfast provider add"],
    ),
    "a program that can never be run, installed or not": (
        nothing,
        ["run", "cline", "--pin", "mimo/mimo-pro"],
        2,
        ["Cline cannot be run: it takes a key only as", "run: holdfast run --list"],
    ),
    "a command that does not exist": (
        nothing,
        ["serv"],
        2,
        ["there is no command 'serv': did you mean 'serve'?", "run: holdfast --help"],
    ),
    "a URL with credentials": (
        nothing,
        ["provider", "add", "x", "--url", f"https://me:{CANARY}@x.example/v1"],
        2,
        ["has a user or password", "https://****@x.example/v1", "key add"],
    ),
    "a metadata address": (
        nothing,
        ["provider", "add", "x", "--url", "http://169.254.169.254/v1"],
        2,
        ["link-local"],
    ),
    "no address": (
        nothing,
        ["provider", "add", "openrouter"],
        2,
        ["needs an address", "run: holdfast provider add openrouter --preset openrouter"],
    ),
    "no address, with options": (
        nothing,
        ["provider", "add", "openrouter", "--key", "env:K", "--model", "a b", "--auth", "bearer"],
        2,
        ["holdfast provider add openrouter --auth bearer --preset openrouter --model 'a b' --key env:K"],
    ),
    "no address, with a key for a reference": (
        nothing,
        ["provider", "add", "x", "--key", CANARY, "--key", f"cmd:echo {CANARY}"],
        2,
        ["run: holdfast provider add x --url URL --key REF --key REF"],
    ),
    "a dialect given twice": (
        nothing,
        "provider add x --endpoint openai-chat=https://a.example --endpoint openai-chat=https://b.example".split(),
        2,
        ["'openai-chat' is given twice"],
    ),
    "a preset that is not known": (
        nothing,
        ["provider", "add", "x", "--preset", "openruter"],
        2,
        ["openruter", "openrouter"],
    ),
    "an endpoint without dialect": (
        nothing,
        ["provider", "add", "x", "--endpoint", "https://x.example"],
        2,
        ["is not DIALECT=URL", "run:"],
    ),
    "a name that is taken": (
        nothing,
        ["provider", "add", "mimo", "--url", "https://x.example"],
        2,
        ["'mimo' exists already", "run: holdfast provider show mimo"],
    ),
    "a literal key on the command line": (
        nothing,
        ["key", "add", "both", "--from", CANARY],
        2,
        ["must be a reference"],
    ),
    "a key without a terminal": (
        nothing,
        ["key", "add", "mimo"],
        2,
        ["there is no terminal", "--from env:VARIABLE"],
    ),
    "an address that nobody can listen on": (
        added('[gateway]\nlisten = "127.0.0.1:99999"'),
        ["env"],
        2,
        ["holdfast.toml:20", 'gateway.listen: must be host:port, such as "127.0.0.1:4141"'],
    ),
    "an empty key": (
        nothing,
        ["key", "add", "mimo", "--from", "-"],
        2,
        ["this is not a key", "run: holdfast key add mimo"],
    ),
    "a key that is not there": (
        nothing,
        ["key", "remove", "mimo", "tea"],
        2,
        ["did you mean 'team'?", "run: holdfast key list mimo"],
    ),
    "a provider that is not there": (
        nothing,
        ["provider", "show", "mimmo"],
        2,
        ["did you mean 'mimo'?", "run: holdfast provider list"],
    ),
    "a provider that a fallback needs": (
        nothing,
        ["provider", "remove", "both"],
        2,
        ["was not changed", "both/big", "holdfast.toml:17"],
    ),
    "a pin without model": (
        nothing,
        ["session", "pin", "s", "mimo"],
        2,
        ["'mimo' is not a pin", "run: holdfast models"],
    ),
    "a pin of nobody": (
        nothing,
        ["session", "pin", "s", "mimmo/mimo-pro"],
        3,
        ["no provider 'mimmo'", "could be: mimo/mimo-pro", "run:"],
    ),
    "a key of nobody": (
        nothing,
        ["session", "pin", "s", "mimo/mimo-pro", "--key", "tea"],
        3,
        ["has no key 'tea'", "run:"],
    ),
    "a session that is not there": (
        nothing,
        ["session", "show", "s"],
        3,
        ["there is no session 's'", "run: holdfast session pin s PROVIDER/MODEL"],
    ),
    "a request that is not there": (
        nothing,
        ["why", "r"],
        3,
        ["neither a session nor a request", "run: holdfast session list"],
    ),
    "a session's id that is none": (nothing, ["env", "--session", "a b;c"], 2, ["cannot be a session id"]),
    "a harness that is not known": (
        nothing,
        ["models", "--harness", "cloude"],
        2,
        ["did you mean 'claude'?"],
    ),
    "a command that is not there": (nothing, ["modls"], 2, ["modls", "run: holdfast --help"]),
    "an option that is not there": (
        nothing,
        ["key", "list", "--jsn"],
        2,
        ["--jsn", "run: holdfast key list --help"],
    ),
    "an argument too few": (nothing, ["session", "pin"], 2, ["SESSION", "run: holdfast session pin --help"]),
    "a pin that nobody chose": (
        nothing,
        ["session", "pin", "s"],
        2,
        ["no pin was given", "run: holdfast session pin s PROVIDER/MODEL"],
    ),
    "a name with a slash": (
        nothing,
        ["provider", "add", "a/b", "--url", "https://x.example"],
        2,
        ["cannot be a provider's name", "run: holdfast "],
    ),
    "an id with a slash": (
        nothing,
        ["session", "pin", "a/b", "mimo/mimo-pro"],
        2,
        ["cannot be a session id", "run: holdfast session pin --help"],
    ),
    "a second key that is the first": (
        nothing,
        ["key", "add", "mimo", "--from", "env:MIMO_KEY"],
        2,
        ["is listed twice", "run: holdfast key add --help"],
    ),
    "a store whose changes only are left": (
        written("state.db-wal", b"x" * 500),
        ["session", "list"],
        2,
        ["state.db is gone", "run: holdfast doctor"],
    ),
    "a corrupt store": (
        written("state.db", b"not a database" * 50),
        ["session", "list"],
        2,
        ["state.db is not a database", "run: holdfast doctor"],
    ),
    "an empty store": (written("state.db", b""), ["key", "list"], 2, ["cut off", "run: holdfast doctor"]),
    "a corrupt store, when renaming": (
        written("state.db", b"x" * 500),
        ["provider", "rename", "mimo", "plan"],
        2,
        ["state.db", "run: holdfast doctor"],
    ),
    "another program's store": (
        foreign,
        ["session", "pin", "s", "mimo/mimo-pro"],
        2,
        ["another program", "it was left as it is", "run: holdfast doctor"],
    ),
    "a home that is initialised": (
        nothing,
        ["init"],
        2,
        ["exists already; nothing was changed", "run: holdfast doctor"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_refused_with_place_and_command_and_nothing_is_lost(
    wrong: str, cli: Cli, furnished: Path
) -> None:
    make, arguments, code, expected = WRONG[wrong]
    make(furnished)
    before = contents(furnished)
    result = cli(*arguments)
    assert result.stderr.startswith("holdfast: ")
    assert not [text for text in expected if text not in result.stderr], result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert "Traceback" not in result.stderr
    assert CANARY not in result.stderr
    assert contents(furnished) == before


def test_all_mistakes_in_the_file_are_reported_at_once(cli: Cli, furnished: Path) -> None:
    added('[provider.x]\nurl = "ftp://x.example"\nmodel = "m"\n[settings]\nwait = 3')(furnished)
    message = cli("key", "list").stderr
    assert [
        location
        for location in ("holdfast.toml:20", "holdfast.toml:21", "holdfast.toml:23")
        if location not in message
    ] == []


def test_errors_are_json_where_json_was_asked_for(cli: Cli, furnished: Path) -> None:
    lost = json.loads(cli("session", "show", "s", "--json").stderr)["error"]
    assert lost == {
        "kind": "ConnectionLost",
        "what": "there is no session 's'",
        "run": "holdfast session pin s PROVIDER/MODEL",
        "exit_code": 3,
    }
    added('[provider.x]\nurl = "ftp://x.example"')(furnished)
    wrong = json.loads(cli("key", "list", "--json").stderr)["error"]
    assert (wrong["kind"], wrong["exit_code"]) == ("ConfigError", 2)
    assert [(problem["place"], problem["path"]) for problem in wrong["problems"]] == [
        ("holdfast.toml:20", "provider.x.url")
    ]
    usage = json.loads(cli("key", "list", "--jsn", "--json").stderr)["error"]
    assert (usage["kind"], usage["exit_code"], usage["run"]) == ("Usage", 2, "holdfast key list --help")


def test_an_unset_variable_is_reported_by_list_doctor_and_check(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOTH_KEY")
    listed = cli("key", "list", "both")
    assert (listed.exit_code, "env:BOTH_KEY: not set in this environment" in listed.stdout) == (0, True)
    examined = cli("doctor")
    assert examined.exit_code == 1
    assert "run: export BOTH_KEY=…" in examined.stdout
    checked = cli("check", "both/big")
    assert (checked.exit_code, "tried env:BOTH_KEY: not set" in checked.stderr) == (2, True)


def test_a_failing_program_is_reported_with_its_exit_code_and_first_words(cli: Cli, furnished: Path) -> None:
    added(
        '[provider.x]\nurl = "http://127.0.0.1:9/v1"\n'
        "keys = [\"cmd:sh -c 'echo vault is locked >&2; exit 7'\"]"
    )(furnished)
    checked = cli("check", "x/m")
    assert checked.exit_code == 2
    assert "exit code 7: vault is locked" in checked.stderr
    assert "exit code 7: vault is locked" in cli("doctor").stdout


def test_a_package_of_another_owner_in_our_place_is_reported_by_doctor(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.cli.doctor.namesake", lambda: "0.5.1")
    examined = cli("doctor")
    assert examined.exit_code == 1
    assert "another package, 'holdfast' 0.5.1, is installed too" in examined.stdout
    assert "uninstall -y holdfast holdfast-llm && " in examined.stdout


def test_a_deleted_provider_is_reported_by_every_command_that_meets_its_sessions(
    cli: Cli, furnished: Path
) -> None:
    cli("session", "pin", "s", "local/small")
    refused = cli("provider", "remove", "local")
    assert refused.exit_code == 2
    assert "s on local/small" in refused.stderr
    assert "local" in (furnished / "holdfast.toml").read_text()
    assert "holdfast session pin s PROVIDER/MODEL" in cli("provider", "remove", "local", "--force").stdout
    listed = json.loads(cli("session", "list", "--json").stdout)
    assert [(session["pin"], session["resumes"]) for session in listed] == [("local/small", False)]
    assert "no provider 'local'" in cli("session", "list").stdout
    examined = cli("doctor")
    assert (examined.exit_code, "would not resume" in examined.stdout) == (1, True)
    assert cli("check", "local/small").exit_code == 3
    assert cli("session", "pin", "s", "mimo/mimo-pro").exit_code == 0
    assert cli("doctor").exit_code == 0


def test_a_key_that_a_session_chose_is_not_removed_under_it(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro", "--key", "team")
    before = contents(furnished)
    refused = cli("key", "remove", "mimo", "team")
    assert (refused.exit_code, "s on mimo/mimo-pro" in refused.stderr) == (2, True)
    assert contents(furnished) == before
    assert cli("key", "remove", "mimo", "team", "--force").exit_code == 0
    assert "has no key 'team'" in cli("session", "list").stdout


def test_a_session_whose_row_cannot_be_read_is_listed_and_repaired(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    with closing(sqlite3.connect(furnished / "state.db")) as database:
        database.execute("UPDATE session SET pin = 'custom', version = 7")
        database.commit()
    assert "its row cannot be read" in cli("session", "list").stdout
    assert cli("session", "show", "s").exit_code == 0
    assert "holdfast session pin s PROVIDER/MODEL" in cli("doctor").stdout
    assert "repaired" in cli("session", "pin", "s", "both/big").stdout
    assert json.loads(cli("session", "show", "s", "--json").stdout)["resumes"] is True
    assert "healed: now on both/big" in cli("why", "s").stdout


def test_a_home_that_cannot_be_made_is_reported_with_its_place(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "file" / "home"))
    for arguments in (["init"], ["provider", "add", "x", "--url", "https://x.example"]):
        result = cli(*arguments)
        assert (
            result.exit_code,
            str(tmp_path / "file" / "home") in result.stderr,
            "run: " in result.stderr,
        ) == (2, True, True), result.stderr
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_read_only_home_is_reported_and_left_as_it_is(cli: Cli, furnished: Path) -> None:
    before = contents(furnished)
    furnished.chmod(0o500)
    try:
        for arguments in (
            ["provider", "add", "x", "--url", "https://x.example"],
            ["session", "pin", "s", "mimo/mimo-pro"],
            ["key", "remove", "mimo", "team"],
        ):
            result = cli(*arguments)
            assert (result.exit_code, "Permission denied" in result.stderr, "run: " in result.stderr) == (
                2,
                True,
                True,
            )
        assert contents(furnished) == before
    finally:
        furnished.chmod(0o700)


def test_a_damaged_store_is_set_aside_only_when_asked_and_nothing_is_deleted(
    cli: Cli, furnished: Path
) -> None:
    written("state.db", b"not a database" * 50)(furnished)
    examined = cli("doctor")
    assert examined.exit_code == 1
    assert "run: holdfast doctor --set-aside" in examined.stdout
    assert "was moved to" in cli("doctor", "--set-aside").stdout
    assert (furnished / "state.db.aside-1").read_bytes() == b"not a database" * 50
    assert cli("session", "pin", "s", "mimo/mimo-pro").exit_code == 0
    assert "was moved to" not in cli("doctor", "--set-aside").stdout


@pytest.mark.parametrize(
    ("name", "moved"),
    [("SQLITE_READONLY", False), ("SQLITE_BUSY", False), ("SQLITE_FULL", False), ("SQLITE_CORRUPT", True)],
)
def test_a_store_that_is_only_out_of_reach_is_never_set_aside(
    name: str, moved: bool, cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    error = sqlite3.OperationalError("as told")
    error.sqlite_errorname = name

    def connect(_: object) -> sqlite3.Connection:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("holdfast.store.sqlite.connect", connect)
        examined = cli("doctor")
        assert ("--set-aside" in examined.stdout, "wrong  store" in examined.stdout) == (moved, True)
        assert ("was moved to" in cli("doctor", "--set-aside").stdout) is moved
    assert (furnished / "state.db").exists() is not moved


def test_changes_of_a_store_that_is_gone_are_set_aside_when_asked(cli: Cli, furnished: Path) -> None:
    written("state.db-wal", b"x" * 500)(furnished)
    assert "run: holdfast doctor --set-aside" in cli("doctor").stdout
    assert "was moved to" in cli("doctor", "--set-aside").stdout
    assert cli("session", "pin", "s", "mimo/mimo-pro").exit_code == 0
    assert (furnished / "state.db.aside-1-wal").read_bytes() == b"x" * 500


def test_a_home_that_is_a_file_is_reported_by_doctor_and_not_called_missing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my file").write_text("in the way")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "my file"))
    result = cli("doctor")
    assert (result.exit_code, result.stderr, "there is no" in result.stdout) == (1, "", False)
    assert "my file/holdfast.toml: Not a directory" in result.stdout
    assert f"run: ls -ld '{tmp_path}/my file' " in result.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not bind root")
def test_a_home_that_may_not_be_read_is_reported_by_doctor(cli: Cli, furnished: Path) -> None:
    furnished.chmod(0)
    try:
        result = cli("doctor")
    finally:
        furnished.chmod(0o700)
    assert (result.exit_code, result.stderr, "there is no" in result.stdout) == (1, "", False)
    assert "Permission denied" in result.stdout


def test_doctor_notes_a_command_that_seems_to_hold_a_key(cli: Cli, furnished: Path) -> None:
    added(f"[provider.x]\nurl = \"https://x.example\"\nkeys = ['cmd:echo {CANARY}']\n")(furnished)
    result = cli("doctor")
    label = label_of(f"cmd:echo {CANARY}")
    assert (
        f"note   key       the command of key '{label}' of provider 'x' seems to hold a secret"
        in result.stdout
    )
    assert CANARY not in result.stdout


def test_doctor_tells_open_files_plain_addresses_and_a_wrong_clock(cli: Cli, furnished: Path) -> None:
    (furnished / "secrets.toml").chmod(0o644)
    added(
        '[provider.plain]\nurl = "http://api.example.com/v1"\nkeys = ["env:MIMO_KEY"]\n'
        '[provider.lan]\nurl = "http://10.0.0.7/v1"\nauth = "none"'
    )(furnished)
    cli("session", "pin", "s", "mimo/mimo-pro")
    with closing(sqlite3.connect(furnished / "state.db")) as database:
        database.execute("UPDATE journal SET at = at + 3600")
        database.commit()
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    wrong = {
        finding["check"]: (finding["what"], finding["run"])
        for finding in findings
        if finding["level"] == "wrong"
    }
    assert wrong["home"][1] == f"chmod 600 {furnished / 'secrets.toml'}"
    assert "unencrypted to http://api.example.com/v1" in wrong["address"][0]
    assert "in the future" in wrong["clock"][0]
    assert not [finding for finding in findings if "10.0.0.7" in finding["what"]]
    assert all(run for _, run in wrong.values())


def test_doctor_tells_each_problem_of_the_file_and_goes_on(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    added('[provider.x]\nurl = "ftp://x.example"\nmodel = "m"')(furnished)
    result = cli("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("wrong  config") == 2
    assert "unknown key 'model'; did you mean 'models'?" in result.stdout
    assert "run: did you mean" not in result.stdout
    assert "ok     store" in result.stdout


def test_a_defect_of_ours_ends_as_a_message_and_as_a_traceback_only_when_asked(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError(f"with {CANARY} inside")

    monkeypatch.setattr("holdfast.config.catalog.options", broken)
    for debug in ("", "1"):
        monkeypatch.setenv("HOLDFAST_DEBUG", debug)
        code = app.run(["models"])
        message = capfd.readouterr().err
        assert (
            code,
            "this is a defect of Holdfast: ZeroDivisionError" in message,
            "Traceback" in message,
        ) == (
            1,
            True,
            bool(debug),
        )
        assert CANARY not in message.rpartition("holdfast: ")[2]


def test_an_interruption_ends_with_130(cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("holdfast.config.catalog.options", interrupted)
    result = cli("models")
    assert (result.exit_code, "interrupted" in result.stderr) == (130, True)
