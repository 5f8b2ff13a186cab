"""`holdfast import`: it shows first, writes what it showed, keeps existing entries, and copies no key
unasked."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cli.furnishing import CONFIG as OURS
from cli.furnishing import Cli, contents, write
from holdfast.credentials import SecretsFile
from importers.homes import CONFIG, KEY_B, A, B, billed, hermes_home, stored

ENTRIES = {
    "team-a": {"url": A, "keys": ["env:TEAM_A_KEY"]},
    "team-b": {"url": B, "models": ["big", "small"]},
}


@pytest.fixture
def hermes(tmp_path: Path) -> Path:
    rows = [billed("s-1", B), stored("s-2", "custom:team-a", A), {"id": "s-3"}, billed("s 4", B)]
    return hermes_home(tmp_path / "hermes", CONFIG, *rows, env="TEAM_A_KEY=sk-team-a-0f1e2d3c4b5a6978\n")


def written(home: Path) -> dict[str, object]:
    return tomllib.loads((home / "holdfast.toml").read_text("utf-8"))


def test_without_apply_it_shows_the_very_entries_and_writes_nothing(
    cli: Cli, home: Path, hermes: Path
) -> None:
    result = cli("import", "hermes", str(hermes))
    assert result.exit_code == 0
    shown, _, rest = result.stdout.partition("left out:")
    assert tomllib.loads(shown) == {
        "provider": ENTRIES,
        "fallback": {"team-a/big": {"then": ["team-b/small"]}},
    }
    assert "its value is in" in rest
    assert f"run: holdfast import hermes {hermes} --apply" in rest
    assert list(home.iterdir()) == []


def test_apply_writes_what_was_shown_and_a_second_run_has_nothing_to_write(
    cli: Cli, home: Path, hermes: Path
) -> None:
    write(home / "holdfast.toml", OURS)
    result = cli("import", "hermes", str(hermes), "--apply")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (home / "holdfast.toml").read_text("utf-8").startswith("# my own words\n")
    assert {name: entry for name, entry in written(home)["provider"].items() if name in ENTRIES} == ENTRIES  # type: ignore[attr-defined]
    assert cli("provider", "list").exit_code == 0
    before = contents(home)
    again = cli("import", "hermes", str(hermes), "--apply")
    assert (again.exit_code, contents(home)) == (0, before)
    assert "'team-a' exists already" in again.stdout


def test_a_name_that_means_another_url_here_is_never_touched(cli: Cli, home: Path, hermes: Path) -> None:
    write(home / "holdfast.toml", '[provider.team-b]\nurl = "https://mine.example/v1"\nkeys = ["env:MINE"]\n')
    result = cli("import", "hermes", str(hermes), "--apply")
    assert result.exit_code == 1
    assert (
        "team-b: you have a provider of that name, at https://mine.example/v1: "
        "holdfast provider rename team-b" in result.stdout
    )
    assert written(home)["provider"]["team-b"] == {"url": "https://mine.example/v1", "keys": ["env:MINE"]}  # type: ignore[index]
    assert "fallback" not in written(home)


def test_a_key_that_an_entry_lacks_is_named_with_the_command(cli: Cli, home: Path, hermes: Path) -> None:
    write(home / "holdfast.toml", f'[provider.team-a]\nurl = "{A}"\nkeys = ["env:OTHER"]\n')
    assert "holdfast key add team-a --from env:TEAM_A_KEY" in cli("import", "hermes", str(hermes)).stdout


def test_values_are_copied_into_our_secrets_only_on_request(cli: Cli, home: Path, hermes: Path) -> None:
    cli("import", "hermes", str(hermes), "--apply")
    assert not (home / "secrets.toml").exists()
    (home / "holdfast.toml").unlink()
    result = cli("import", "hermes", str(hermes), "--apply", "--copy-secrets")
    assert result.exit_code == 0
    providers = written(home)["provider"]
    assert providers["team-b"]["keys"] == ["store:team-b"]  # type: ignore[index]
    assert providers["team-a"]["keys"] == ["store:TEAM_A_KEY"]  # type: ignore[index]
    kept = SecretsFile(home / "secrets.toml").get("team-b", "team-b")
    assert kept is not None
    assert kept.tail == KEY_B[-4:]
    assert (home / "secrets.toml").stat().st_mode & 0o777 == 0o600
    assert KEY_B not in result.stdout + (home / "holdfast.toml").read_text("utf-8")


def test_after_a_copy_a_second_import_lacks_no_key(cli: Cli, home: Path, hermes: Path) -> None:
    cli("import", "hermes", str(hermes), "--apply", "--copy-secrets")
    for more in ((), ("--copy-secrets",)):
        again = cli("import", "hermes", str(hermes), *more).stdout
        assert "does not have it" not in again
    write(home / "holdfast.toml", f'[provider.team-b]\nurl = "{B}"\nkeys = ["env:MINE"]\n')
    lacking = cli("import", "hermes", str(hermes)).stdout
    assert "the key 'team-b' of 'team-b', whose value is in" in lacking
    assert "holdfast key add team-b --from store:team-b" in lacking


def test_several_fallbacks_are_shown_as_one_table(cli: Cli, home: Path, tmp_path: Path) -> None:
    rows = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": A, "api_key": "none"}}
        for name in ("m1", "m2", "m3")
    ]
    settings = {"fallbacks": [{"m1": ["m3"]}, {"m2": ["m1", "m3"]}]}
    path = tmp_path / "config.yaml"
    write(path, json.dumps({"model_list": rows, "router_settings": settings}))
    shown, _, _ = cli("import", "litellm", str(path)).stdout.partition("\n1 provider would")
    assert len(tomllib.loads(shown)["fallback"]) == 2
    cli("import", "litellm", str(path), "--apply")
    assert tomllib.loads(shown) == written(home)


def test_only_takes_one_entry_and_refuses_a_name_that_was_not_found(
    cli: Cli, home: Path, hermes: Path
) -> None:
    assert cli("import", "hermes", str(hermes), "--only", "team-a", "--apply").exit_code == 0
    assert written(home) == {"provider": {"team-a": ENTRIES["team-a"]}}
    result = cli("import", "hermes", str(hermes), "--only", "team-x")
    assert (result.exit_code, "did you mean" in result.stderr) == (2, True)


def test_sessions_come_along_where_it_is_certain_whose_they_are(cli: Cli, home: Path, hermes: Path) -> None:
    shown = cli("import", "hermes", str(hermes), "--sessions")
    assert "2 sessions would be created" in shown.stdout
    cli("session", "pin", "s-2", "team-b/small")
    assert cli("import", "hermes", str(hermes), "--apply").exit_code == 0
    assert cli("session", "pin", "s-2", "team-b/small", "--key", "none").exit_code != 0
    report = json.loads(cli("import", "hermes", str(hermes), "--sessions", "--apply", "--json").stdout)
    assert report["sessions"] == [{"id": "s-1", "pin": "team-b/big"}, {"id": "s-2", "pin": "team-a/big"}]
    assert {row["what"] for row in report["sessions_left_out"]} == {"s-3", "s 4"}
    session = json.loads(cli("session", "show", "s-1", "--json").stdout)
    assert (session["pin"], session["created_at"]) == ("team-b/big", 1000.0)
    assert "created" in cli("why", "s-1").stdout


def test_a_session_that_is_there_keeps_its_own_choice(cli: Cli, home: Path, hermes: Path) -> None:
    cli("import", "hermes", str(hermes), "--apply", "--copy-secrets")
    assert cli("session", "pin", "s-1", "team-a/big").exit_code == 0
    report = json.loads(cli("import", "hermes", str(hermes), "--sessions", "--apply", "--json").stdout)
    assert {"what": "s-1", "why": "there is a session of that name already"} in report["sessions_left_out"]
    assert json.loads(cli("session", "show", "s-1", "--json").stdout)["pin"] == "team-a/big"


def test_a_model_that_hermes_discovered_is_no_obstacle(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = hermes_home(tmp_path / "hermes", CONFIG, stored("s-1", "custom:team-b", B, model="brand-new"))
    report = json.loads(cli("import", "hermes", str(path), "--sessions", "--json").stdout)
    assert report["sessions"] == [{"id": "s-1", "pin": "team-b/brand-new"}]


def test_sessions_on_providers_that_hermes_knows_itself_find_ours_of_that_name(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    rows = [stored("s-1", "deepseek", model="deepseek-chat"), stored("s-2", "xiaomi", model="mimo-v2")]
    path = hermes_home(tmp_path / "hermes", "{}", *rows)
    write(home / "holdfast.toml", '[provider.mine]\npreset = "deepseek"\nkeys = ["env:K"]\n')
    report = json.loads(cli("import", "hermes", str(path), "--sessions", "--json").stdout)
    assert report["sessions"] == [{"id": "s-1", "pin": "mine/deepseek-chat"}]
    assert report["sessions_left_out"] == [
        {"what": "s-2", "why": "no provider of yours is hermes's 'xiaomi'"}
    ]


def test_a_session_on_a_provider_of_hermes_is_not_put_on_an_entry_of_the_same_name(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    config = "custom_providers: [{name: deepseek, base_url: https://relay.example/v1, key_env: RELAY_KEY}]\n"
    keys = "DEEPSEEK_API_KEY=sk-vendor-0123456789\nRELAY_KEY=sk-relay-0123456789\n"
    rows = [stored("own", "deepseek", model="any"), stored("entry", "custom:deepseek", model="any")]
    path = hermes_home(tmp_path / "hermes", config, *rows, env=keys)
    report = json.loads(cli("import", "hermes", str(path), "--sessions", "--json").stdout)
    urls = {entry["name"]: entry.get("url", entry.get("preset")) for entry in report["entries"]}
    pins = {session["id"]: session["pin"].partition("/")[0] for session in report["sessions"]}
    assert (urls[pins["own"]], urls[pins["entry"]]) == ("deepseek", "https://relay.example/v1")
    write(home / "holdfast.toml", '[provider.deepseek]\nurl = "https://relay.example/v1"\nkeys = ["env:K"]\n')
    report = json.loads(
        cli("import", "hermes", str(path), "--sessions", "--only", "deepseek", "--json").stdout
    )
    assert [session["id"] for session in report["sessions"]] == ["entry"]


def test_a_fallback_of_your_own_is_kept(cli: Cli, home: Path, hermes: Path) -> None:
    assert cli("import", "hermes", str(hermes), "--apply").exit_code == 0
    path = home / "holdfast.toml"
    write(path, path.read_text("utf-8").replace("team-b/small", "team-b/big"))
    result = cli("import", "hermes", str(hermes), "--apply")
    assert "you have other fallbacks for it" in result.stdout
    assert "team-b/big" in path.read_text("utf-8")


def test_json_tells_what_would_be_written_and_what_not(cli: Cli, home: Path, hermes: Path) -> None:
    report = json.loads(cli("import", "hermes", str(hermes), "--json").stdout)
    assert [entry["name"] for entry in report["entries"]] == ["team-a", "team-b"]
    assert (report["written"], report["refused"], report["fallbacks"]) == (
        [],
        [],
        {"team-a/big": ["team-b/small"]},
    )
    assert {"what", "why"} == set(report["left_out"][0])


def test_the_environment_is_offered_without_reading_a_key(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-canary-93b1f0d2e7a64c58")
    result = cli("import", "env")
    assert "[provider.openrouter]" in result.stdout
    assert "canary" not in result.stdout
    assert "1 provider would be written" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hermes", "/nowhere"), "/nowhere does not exist"),
        (("env", "--sessions"), "--sessions is for hermes"),
        (("word",), "'word' is not one of"),
        (("hermes",), "there is no Hermes home at"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_the_next_command(
    cli: Cli, home: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = cli("import", *arguments)
    assert (result.exit_code, message in result.stderr, "run: " in result.stderr) == (2, True, True)


@pytest.mark.parametrize("program", ["litellm", "opencode", "pi", "codex"])
def test_a_program_that_is_not_here_is_reported_and_nothing_else(
    cli: Cli, home: Path, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli("import", program)
    assert (result.exit_code, "nothing new to write" in result.stdout, "left out:" in result.stdout) == (
        0,
        True,
        True,
    )


def test_what_was_written_before_a_failure_is_reported(
    cli: Cli, home: Path, hermes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.core.errors import ConfigError
    from holdfast.importers import plan

    def full(*_: object) -> None:
        raise ConfigError("no space left")

    monkeypatch.setattr(plan, "set_fallback", full)
    result = cli("import", "hermes", str(hermes), "--apply")
    assert (result.exit_code, "written before that: team-a, team-b" in result.stderr) == (2, True)


COMMAND = "sh -c 'touch /tmp/\x1b]0;owned\x07never\u202e'"


@pytest.fixture
def programs_with_commands(tmp_path: Path) -> dict[str, Path]:
    """Return the files of programs whose keys are read by commands."""
    entry = {"baseUrl": A, "api": "openai-completions", "apiKey": f"!{COMMAND}", "models": []}
    models = {"providers": {"mine": entry}}
    for name in ("pi", "codex"):
        (tmp_path / name).mkdir()
    write(tmp_path / "pi" / "models.json", json.dumps(models))
    write(
        tmp_path / "codex" / "config.toml",
        f'[model_providers.mine]\nname = "mine"\nbase_url = "{A}"\nwire_api = "responses"\n'
        '[model_providers.mine.auth]\ncommand = "sh"\nargs = ["-c", "touch /tmp/never"]\n',
    )
    return {"pi": tmp_path / "pi", "codex": tmp_path / "codex"}


@pytest.mark.parametrize("program", ["pi", "codex"])
def test_no_command_of_another_program_is_taken_over_unasked(
    cli: Cli, home: Path, programs_with_commands: dict[str, Path], program: str
) -> None:
    path = programs_with_commands[program]
    shown = cli("import", program, str(path))
    assert "EXECUTES: these commands come from the imported files" in shown.stdout
    assert "provider 'mine' runs: sh -c " in shown.stdout
    listed = json.loads(cli("import", program, str(path), "--json").stdout)["commands"]
    assert [entry["entry"] for entry in listed] == ["mine"]
    refused = cli("import", program, str(path), "--apply")
    assert refused.exit_code == 4
    assert "nothing was written" in refused.stderr
    assert "provider 'mine' runs: sh -c " in refused.stderr
    assert f"holdfast import {program} {path} --apply --accept-commands" in refused.stderr
    assert not (home / "holdfast.toml").exists()
    for output in (shown.output, refused.output):
        assert not {"\x1b", "\x07", "\u202e"} & set(output)
    assert cli("import", program, str(path), "--apply", "--accept-commands").exit_code == 0
    assert written(home)["provider"]["mine"]["keys"][0].startswith("cmd:sh -c ")  # type: ignore[index]


def test_a_command_for_an_entry_that_exists_is_shown_as_one_that_runs(
    cli: Cli, home: Path, programs_with_commands: dict[str, Path]
) -> None:
    write(home / "holdfast.toml", f'[provider.mine]\nurl = "{A}"\nkeys = ["env:MINE"]\n')
    result = cli("import", "pi", str(programs_with_commands["pi"]), "--apply")
    assert result.exit_code == 0
    assert "(this would run the command whenever the key is read)" in result.stdout
