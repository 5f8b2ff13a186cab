"""What each command says and does when all is well."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.furnishing import KEPT, Cli, contents, write
from holdfast.config import Home, load
from holdfast.core.changes import Cooldown, CooldownStarted, FallbackStarted, KeySucceeded
from holdfast.core.errors import StoreError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Pin, ProviderName
from holdfast.credentials import SecretsFile
from holdfast.store.journal_events import Event, SessionResumed
from holdfast.store.sqlite import SqliteStore
from tables import rows

SHOWN = [
    (["config", "path"], ["holdfast.toml"]),
    (["provider", "presets", "Xiaomi"], ["mimo-plan-cn", "XIAOMI_API_KEY", "anthropic-messages"]),
    (["provider", "list"], ["mimo", "openai-chat, anthropic-messages", "MIMO_KEY, team", "not declared"]),
    (
        ["provider", "show", "mimo"],
        [
            "https://mimo.example/v1",
            "(provider.mimo.url, holdfast.toml:3)",
            "team, account team",
            "mimo/mimo-pro, then both/big",
        ],
    ),
    (["key", "list"], ["env:MIMO_KEY", "…4c58", "store:team", "…4473"]),
    (["key", "list", "both"], ["env:BOTH_KEY"]),
    (["models"], ["mimo/mimo-pro", "local/small", "declared"]),
    (["models", "--harness", "codex", "--all"], ["translated from openai-responses, declared"]),
    (["session", "list"], ["no session yet", "run: holdfast session pin SESSION PROVIDER/MODEL"]),
    (["status"], ["no gateway runs", "run: holdfast serve", "untested", "state.db: 0 sessions"]),
    (
        ["env"],
        [
            'export OPENAI_BASE_URL="http://127.0.0.1:4141/v1"',
            'export ANTHROPIC_BASE_URL="http://127.0.0.1:4141"',
            '="$HOLDFAST_TOKEN"',
        ],
    ),
    (
        ["env", "--session", "s-1", "--shell", "fish"],
        ['set -gx OPENAI_API_BASE "http://127.0.0.1:4141/s/s-1/v1"'],
    ),
    (
        ["env", "--session", "s-1", "--shell", "powershell"],
        ['$Env:ANTHROPIC_BASE_URL = "http://127.0.0.1:4141/s/s-1"', '"$Env:HOLDFAST_TOKEN"'],
    ),
    (["completion", "bash"], ["_HOLDFAST_COMPLETE", "complete -o"]),
    (["completion", "zsh"], ["#compdef holdfast"]),
    (["completion", "fish"], ["complete --no-files --command holdfast"]),
    (["--version"], ["holdfast 0."]),
]


@rows(("arguments", "expected"), SHOWN, ids=[" ".join(arguments) for arguments, _ in SHOWN])
def test_a_command_that_only_looks_tells_and_changes_nothing(
    arguments: list[str], expected: list[str], cli: Cli, furnished: Path
) -> None:
    before = contents(furnished)
    result = cli(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert not [text for text in expected if text not in result.stdout]
    assert contents(furnished) == before
    assert not (furnished / "state.db").exists()


def shown(cli: Cli, *arguments: str, code: int = 0) -> Any:
    result = cli(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_every_list_and_show_has_a_stable_shape_in_json(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro", "--key", "team")
    mimo = shown(cli, "provider", "list")[0]
    assert mimo == {
        "name": "mimo",
        "preset": None,
        "endpoints": [
            {
                "dialect": "openai-chat",
                "url": "https://mimo.example/v1",
                "auth": "bearer",
                "source": "provider.mimo.url, holdfast.toml:3",
            }
        ],
        "keys": ["MIMO_KEY", "team"],
        "models": ["mimo-pro", "mimo-lite"],
        "model_facts": {},
        "strategy": "fill-first",
        "profile": None,
        "forward_headers": [],
    }
    assert shown(cli, "provider", "show", "mimo") == mimo | {
        "fallbacks": {"mimo/mimo-pro": ["both/big"]},
        "sessions": ["s"],
    }
    key = shown(cli, "key", "list")[1]
    assert key == {
        "provider": "mimo",
        "label": "team",
        "reference": "store:team",
        "account": "team",
        "tail": f"…{KEPT[-4:]}",
        "state": "found",
        "why": "",
        "ends": None,
        "evidence": [],
        "verdicts": [],
    }
    assert shown(cli, "models")[0] == {
        "pin": "mimo/mimo-pro",
        "dialects": ["openai-chat"],
        "declared": True,
        "why_not": "",
        "translated": None,
        "facts": {},
    }
    session = shown(cli, "session", "show", "s")
    assert shown(cli, "session", "list") == [session]
    assert {name: session[name] for name in ("id", "pin", "key", "fallback", "resumes", "why_not")} == {
        "id": "s",
        "pin": "mimo/mimo-pro",
        "key": "team",
        "fallback": None,
        "resumes": True,
        "why_not": "",
    }
    why = shown(cli, "why", "s")
    assert set(why) == {"subject", "connection", "events", "usage"}
    assert [set(part) for part in why["connection"]] == [
        {"part", "value", "by", "source", "place", "changed", "changed_at"}
    ] * 5
    assert [event["kind"] for event in why["events"]] == ["created"]
    findings = shown(cli, "doctor")
    assert findings["ok"] is True
    assert all(set(finding) == {"check", "level", "what", "run"} for finding in findings["findings"])


def test_init_makes_a_private_home_that_reads_as_an_empty_configuration(
    cli: Cli, clean_environment: Path
) -> None:
    result = cli("init")
    path = clean_environment / "holdfast.toml"
    assert result.exit_code == 0
    assert (path.stat().st_mode & 0o777, clean_environment.stat().st_mode & 0o777) == (0o600, 0o700)
    assert load(Home.find()).providers == {}
    _, _, examples = path.read_text().partition("\n\n")
    uncommented = "\n".join(line.removeprefix("# ") for line in examples.splitlines())
    path.write_text(uncommented)
    assert list(load(Home.find()).providers) == ["my-gateway", "bilingual", "router"]


def test_init_offers_the_keys_it_finds_and_takes_none(
    cli: Cli, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.providers import presets

    variable = presets.rows()["openrouter"]["env"][0]
    monkeypatch.setenv(variable, "sk-or-canary-1234567890")
    result = cli("init")
    assert f"holdfast provider add openrouter --preset openrouter --key env:{variable}" in result.stdout
    assert load(Home.find()).providers == {}


def test_a_provider_is_added_from_an_address_endpoints_or_a_preset(cli: Cli, furnished: Path) -> None:
    assert (
        "next: holdfast key add one"
        in cli("provider", "add", "one", "--url", "https://one.example/v1").stdout
    )
    chat, messages = "openai-chat=https://two.example/v1", "anthropic-messages=https://two.example/a"
    added = cli(
        "provider",
        "add",
        "two",
        "--endpoint",
        chat,
        "--endpoint",
        messages,
        "--model",
        "a",
        "--model",
        "b",
        "--key",
        "env:TWO",
    )
    assert "next: holdfast check two/a" in added.stdout
    assert cli("provider", "add", "three", "--preset", "openrouter", "--key", "env:THREE").exit_code == 0
    assert (
        cli(
            "provider",
            "add",
            "four",
            "--url",
            "https://four.example",
            "--dialect",
            "anthropic-messages",
            "--auth",
            "x-api-key",
        ).exit_code
        == 0
    )
    providers = load(Home.find()).providers
    assert [*map(str, providers["two"].dialects)] == ["openai-chat", "anthropic-messages"]
    assert providers["two"].models == ("a", "b")
    assert providers["three"].preset == "openrouter"
    assert str(providers["four"].endpoints[0].auth) == "x-api-key"
    assert (furnished / "holdfast.toml").read_text().startswith("# my own words\n")


def test_a_key_is_added_by_reference_and_labelled(cli: Cli, furnished: Path) -> None:
    assert (
        cli(
            "key",
            "add",
            "mimo",
            "--from",
            "env:OTHER",
            "--label",
            "other",
            "--account",
            "team",
            "--url",
            "https://eu.example/v1",
        ).exit_code
        == 0
    )
    key = load(Home.find()).providers["mimo"].keys[-1]
    assert (key.label, key.ref, key.account, key.endpoints[0].url) == (
        "other",
        "env:OTHER",
        "team",
        "https://eu.example/v1",
    )


def test_a_piped_key_is_kept_privately_and_referred_to(cli: Cli, furnished: Path) -> None:
    result = cli(
        "key", "add", "mimo", "--from", "-", "--label", "piped", input="sk-piped-canary-0123456789\n"
    )
    assert result.exit_code == 0
    assert load(Home.find()).providers["mimo"].keys[-1].ref == "store:piped"
    assert SecretsFile(furnished / "secrets.toml").get("mimo", "piped") is not None
    assert (furnished / "secrets.toml").stat().st_mode & 0o777 == 0o600
    assert "canary" not in (furnished / "holdfast.toml").read_text()


def test_a_key_that_is_kept_without_a_label_gets_a_name_that_is_no_position(
    cli: Cli, furnished: Path
) -> None:
    for _ in range(2):
        assert cli("key", "add", "both", "--from", "-", input="sk-piped-canary-0123456789\n").exit_code == 0
    first, second = [key.label for key in load(Home.find()).providers["both"].keys[1:]]
    assert first != second
    assert all(re.fullmatch("kept-[0-9a-f]{8}", label) for label in (first, second))
    assert cli("key", "remove", "both", first).exit_code == 0
    assert [key.label for key in load(Home.find()).providers["both"].keys] == ["BOTH_KEY", second]


def test_a_key_whose_kept_value_was_lost_is_given_again_and_one_that_is_there_is_not_replaced(
    cli: Cli, furnished: Path
) -> None:
    refused = cli(
        "key", "add", "mimo", "--from", "-", "--label", "team", input="sk-piped-canary-0123456789\n"
    )
    assert refused.exit_code == 2
    assert SecretsFile(furnished / "secrets.toml").get("mimo", "team").tail == KEPT[-4:]  # type: ignore[union-attr]
    (furnished / "secrets.toml").unlink()
    given = cli("key", "add", "mimo", "--from", "-", "--label", "team", input="sk-piped-canary-0123456789\n")
    assert (given.exit_code, [key.label for key in load(Home.find()).providers["mimo"].keys]) == (
        0,
        ["MIMO_KEY", "team"],
    )
    assert SecretsFile(furnished / "secrets.toml").get("mimo", "team").tail == "6789"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("--from", "store:team"), "holdfast key add mimo --label team --from -"),
        (("--label", "team"), "holdfast key add mimo --label team --from -"),
        (("--from", "store:team", "--label", "mine"), "holdfast key add mimo --label team --from -"),
    ],
)
def test_a_lost_key_is_given_again_by_the_command_that_its_refusal_names(
    cli: Cli, furnished: Path, arguments: tuple[str, ...], command: str
) -> None:
    before = (furnished / "holdfast.toml").read_text()
    (furnished / "secrets.toml").unlink()
    refused = cli("key", "add", "mimo", *arguments)
    assert (refused.exit_code, f"run: {command}   (" in refused.stderr) == (2, True)
    assert cli(*command.split()[1:], input="sk-piped-canary-0123456789\n").exit_code == 0
    assert (furnished / "holdfast.toml").read_text() == before
    assert SecretsFile(furnished / "secrets.toml").get("mimo", "team") is not None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), ""), (("--from", "store:new"), " --label new"), (("--label", "new"), " --label new")],
)
def test_a_new_key_is_asked_for_with_commands_that_keep_its_label(
    cli: Cli, furnished: Path, arguments: tuple[str, ...], named: str
) -> None:
    refused = cli("key", "add", "mimo", *arguments, "--account", "team")
    step = f"run: holdfast key add mimo{named} --account team --from env:VARIABLE   (or --from - "
    assert (refused.exit_code, step in refused.stderr) == (2, True)


def test_removing_a_key_forgets_what_was_kept(cli: Cli, furnished: Path) -> None:
    assert cli("key", "remove", "mimo", "team").exit_code == 0
    assert [key.label for key in load(Home.find()).providers["mimo"].keys] == ["MIMO_KEY"]
    assert KEPT not in (furnished / "secrets.toml").read_text()


def test_listing_keys_runs_no_program(cli: Cli, home: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (home / "holdfast.toml").write_text(
        f'[provider.p]\nurl = "https://p.example/v1"\nkeys = ["cmd:touch {ran}"]\n'
    )
    result = cli("key", "list")
    assert "not read" in result.stdout
    assert not ran.exists()


def store_of(home: Path) -> SqliteStore:
    return SqliteStore(home / "state.db")


def remember(cli: Cli, home: Path) -> None:
    """Let the key MIMO_KEY have worked, and the account `team` be out of quota for an hour."""
    from holdfast.credentials import Vault

    vault = Vault(home / "secrets.toml")
    key = load(Home.find()).providers["mimo"].keys[0]
    vault.secret(key)
    mark, url = vault.fingerprint(key, vault.pepper()), "https://mimo.example/v1"
    assert mark is not None
    with store_of(home) as store:
        now = store.now()
        fault = Fault(FaultClass.QUOTA_WINDOW, scope=Scope.ACCOUNT)
        changes = [
            KeySucceeded(mark, url, "mimo-pro", "", now, durable=True),
            CooldownStarted(Cooldown(f"account:mimo:team@{url}", now + 3600, now, 1, fault)),
        ]
        store.apply(changes, now)


def test_keys_are_listed_with_what_is_remembered_of_them_until_they_are_reset(
    cli: Cli, furnished: Path
) -> None:
    remember(cli, furnished)
    worked, cooling = shown(cli, "key", "list", "mimo")
    assert worked["evidence"][0]["last_ok"] > 0
    assert [(verdict["fault"], verdict["until"] > 0) for verdict in cooling["verdicts"]] == [
        ("quota_window", True)
    ]
    assert "worked at mimo.example" in cli("key", "list", "mimo").stdout
    assert "holdfast key reset mimo team" in cli("doctor").stdout
    assert cli("key", "reset", "mimo").stdout.splitlines() == [
        "key 'MIMO_KEY' of provider 'mimo': deleted 1 record",
        "key 'team' of provider 'mimo': deleted 1 record",
    ]
    assert [(key["evidence"], key["verdicts"]) for key in shown(cli, "key", "list", "mimo")] == [
        ([], []),
        ([], []),
    ]


def test_a_session_is_created_switched_shown_and_forgotten(cli: Cli, furnished: Path) -> None:
    assert "created" in cli("session", "pin", "s", "mimo/mimo-pro").stdout
    assert (
        "before that on mimo/mimo-pro" in cli("session", "pin", "s", "both/big", "--key", "BOTH_KEY").stdout
    )
    with store_of(furnished) as store:
        session = store.session("s")
        assert session is not None
        assert (session.pin, session.key, session.version) == (Pin.parse("both/big"), "BOTH_KEY", 1)
    assert "BOTH_KEY, chosen by its user" in cli("session", "show", "s").stdout
    assert cli("session", "remove", "s").exit_code == 0
    assert cli("session", "show", "s").exit_code == 3
    output = cli("why", "s").stdout
    assert [
        word
        for word in (
            "created on mimo/mimo-pro",
            "switched by its user from mimo/mimo-pro to both/big",
            "removed",
        )
        if word not in output
    ] == []


def test_a_session_may_take_the_pin_that_the_project_selects(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project" / "src").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "src")
    refused = cli("session", "pin", "s1")
    assert (refused.exit_code, refused.stderr.splitlines()[-1]) == (
        2,
        "  run: holdfast session pin s1 PROVIDER/MODEL",
    )
    file = tmp_path / "project" / ".holdfast.toml"
    file.write_text('pin = "mimo/mimo-pro"\n')
    assert (
        f"session 's1' is on mimo/mimo-pro, selected by {file}, created" in cli("session", "pin", "s1").stdout
    )
    why = cli("why", "s1").stdout
    assert f"from session 's1', selected by {file}" in why
    assert "chosen by its user" not in why
    file.write_text('pin = "evil/m"\n[provider.evil]\nurl = "https://evil.example/v1"\n')
    refused = cli("session", "pin", "s2")
    assert (refused.exit_code, "never defines or redirects a provider" in refused.stderr) == (2, True)
    assert cli("session", "show", "s2").exit_code == 3


def test_why_names_the_origin_of_each_part(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro", "--key", "team")
    output = cli("why", "s").stdout
    for expected in (
        "session 's', chosen by its user; created",
        "provider.mimo.url, holdfast.toml:3",
        "team (store:…)",
        "chosen for this session",
        "dialect",
    ):
        assert expected in output


def test_why_tells_the_fallback_in_use_and_until_when(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    with store_of(furnished) as store:
        store.apply([FallbackStarted("s", "both/big", "quota_window", store.now() + 600)], store.now())
    output = cli("why", "s").stdout
    assert "provider  both" in output
    assert "the fallbacks of mimo/mimo-pro (holdfast.toml:17), in use until" in output
    assert "fallback both/big until" in cli("session", "list").stdout
    with store_of(furnished) as store:
        store.apply([FallbackStarted("s", "both/big", "quota_window", store.now() - 1)], store.now())
    assert "fallback" not in cli("session", "list").stdout, (
        "its end may lie behind it until the session's next turn"
    )


def test_why_keeps_its_sources_when_the_journal_is_long(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    with store_of(furnished) as store:
        store.record(
            [Event(store.now() + number, SessionResumed(), "s", pin="mimo/mimo-pro") for number in range(5)]
        )
    output = cli("why", "s", "--limit", "2").stdout
    assert output.count("resumed on") == 2
    assert "chosen by its user; changed 2" in output


def test_a_pin_to_a_model_that_is_not_declared_is_taken_and_noted(cli: Cli, furnished: Path) -> None:
    result = cli("session", "pin", "s", "mimo/mimo-pr")
    assert (
        result.exit_code,
        "note: 'mimo-pr' is not one of the models that 'mimo' declares" in result.stdout,
    ) == (0, True)
    assert "note" not in cli("session", "pin", "t", "both/anything").stdout


def test_models_that_are_listed_at_the_address_of_a_single_key_can_be_chosen(
    cli: Cli, furnished: Path
) -> None:
    cli("provider", "add", "plan", "--url", "https://plan.example/v1", "--key", "env:PLAN_KEY")
    cli("key", "add", "plan", "--from", "env:TEAM_KEY", "--url", "https://team.example/v1")
    cli("session", "pin", "s", "mimo/mimo-pro")
    with store_of(furnished) as store:
        store.save_models("plan", "https://plan.example/v1", {"big": {}}, store.now())
        store.save_models("plan", "https://team.example/v1", {"big": {}, "team-only": {}}, store.now())
    listed = [option["pin"] for option in shown(cli, "models", "--provider", "plan")]
    assert listed == ["plan/big", "plan/team-only"]


def test_a_rename_that_the_store_refuses_is_taken_back(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full", next_step="df")

    cli("session", "pin", "s", "mimo/mimo-pro")
    before = contents(furnished)
    monkeypatch.setattr(SqliteStore, "rename_provider", full)
    assert cli("provider", "rename", "mimo", "plan").exit_code == 2
    assert {name: text for name, text in contents(furnished).items() if name != "secrets.toml"} == {
        n: t for n, t in before.items() if n != "secrets.toml"
    }
    assert SecretsFile(furnished / "secrets.toml").labels("mimo") == ("team",)


def test_a_rename_moves_the_file_the_kept_keys_and_the_sessions(cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro", "--key", "team")
    assert "also in 1 session: s" in cli("provider", "rename", "mimo", "plan").stdout
    assert shown(cli, "session", "show", "s")["pin"] == "plan/mimo-pro"
    assert shown(cli, "session", "show", "s")["resumes"] is True
    assert [key["state"] for key in shown(cli, "key", "list", "plan")] == ["found", "found"]
    assert "renamed from mimo/mimo-pro to plan/mimo-pro" in cli("why", "s").stdout


@pytest.mark.parametrize(
    "command",
    [("check", "mimo/mimo-pro"), ("session", "pin", "t", "mimo/mimo-pro"), ("session", "show", "t")],
)
def test_every_command_names_the_present_name_of_a_renamed_provider(
    command: tuple[str, ...], cli: Cli, furnished: Path
) -> None:
    cli("session", "pin", "t", "mimo/mimo-pro")
    assert cli("provider", "rename", "mimo", "zebra").exit_code == 0
    with SqliteStore(furnished / "state.db") as store:
        row = store.session("t")
        assert row is not None
        store.save_session(row.choose(Pin.parse("mimo/mimo-pro"), 1.0), row.version)
    refused = cli(*command)
    assert "zebra/mimo-pro" in refused.stdout + refused.stderr
    assert "'mimo' is called 'zebra' now" in refused.stdout + refused.stderr
    session = "SESSION" if command[0] == "check" else "t"
    assert f"run: holdfast session pin {session} zebra/mimo-pro" in refused.stdout + refused.stderr


def test_the_commands_that_switch_sessions_say_which_clients_follow(cli: Cli, furnished: Path) -> None:
    assert "follow" not in cli("session", "pin", "s", "mimo/mimo-pro").stdout, "it had no choice before"
    pinned = cli("session", "pin", "s", "mimo/other").stdout
    assert "clients follow that ask for the session by a former name: 'mimo-pro', 'mimo/mimo-pro'" in pinned
    assert "clients do not follow that ask for another provider/model" in pinned
    shown_now = cli("session", "show", "s").stdout
    assert "former   mimo/mimo-pro: requests for it mean the pin above" in shown_now
    assert shown(cli, "session", "show", "s")["former"] == ["mimo/mimo-pro"]


def test_a_rename_that_was_interrupted_between_file_and_store_is_finished_by_the_same_command(
    cli: Cli, furnished: Path
) -> None:
    from holdfast import config

    cli("session", "pin", "s", "mimo/mimo-pro")
    config.rename_provider(Home.find(), "mimo", "plan")
    assert shown(cli, "session", "show", "s")["resumes"] is False
    assert cli("provider", "rename", "mimo", "plan").exit_code == 0
    assert shown(cli, "session", "show", "s")["resumes"] is True


def test_classify_prints_one_class_for_each_line(cli: Cli, furnished: Path) -> None:
    line = json.dumps(
        {
            "provider": "openai",
            "status": 401,
            "headers": {},
            "body": {"error": {"code": "invalid_api_key", "message": "no"}},
        }
    )
    result = cli("classify", input=f"{line}\nnot json\n")
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["class"] == "auth_rejected"
    assert "error" in second
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"REQUESTS_CA_BUNDLE": "/etc/corp.pem"}, "REQUESTS_CA_BUNDLE"),
        ({"CURL_CA_BUNDLE": "/etc/corp.pem"}, "CURL_CA_BUNDLE"),
        ({"REQUESTS_CA_BUNDLE": "/etc/corp.pem", "SSL_CERT_FILE": "/etc/corp.pem"}, ""),
        ({}, ""),
    ],
)
def test_doctor_says_that_a_bundle_of_other_programs_is_not_read(
    variables: dict[str, str], named: str, cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    findings = [finding for finding in shown(cli, "doctor")["findings"] if finding["check"] == "trust"]
    runs = [f'export SSL_CERT_FILE="${named}"'] if named else []
    assert [finding["run"] for finding in findings] == runs


def test_what_is_written_about_a_model_is_shown(cli: Cli, home: Path) -> None:
    write(
        home / "holdfast.toml",
        '[provider.p]\nurl = "https://p.example/v1"\nkeys = ["env:P"]\n'
        'models = ["a", { id = "b", context = 200_000, input = ["text", "image"], reasoning = false }]\n',
    )
    facts = {"context": 200_000, "input": ["text", "image"], "reasoning": False}
    assert shown(cli, "provider", "show", "p")["model_facts"] == {"b": facts}
    assert [option["facts"] for option in shown(cli, "models")] == [{}, facts]
    rows = [line.partition("declared")[2] for line in cli("models", "--harness", "pi").stdout.splitlines()]
    assert rows[1:] == ["", ": context 200,000 tokens, input text and image, no reasoning"]
    assert (
        "  models    a, b\n  model     b: context 200,000 tokens, input text and image, no reasoning\n"
        in (cli("provider", "show", "p").stdout)
    )


def test_a_provider_is_edited_field_by_field_and_its_comments_stay(cli: Cli, furnished: Path) -> None:
    result = cli(
        *"provider edit mimo --add-model mimo-new --remove-model mimo-lite".split(),
        *"--strategy round-robin --translate exact --forward-header x-team".split(),
    )
    assert (result.exit_code, result.stderr) == (0, "")
    mimo = load(Home.at(furnished)).providers[ProviderName("mimo")]
    assert mimo.models == ("mimo-pro", "mimo-new")
    assert (mimo.strategy, mimo.translates, mimo.forward_headers) == ("round-robin", "exact", ("x-team",))
    text = (furnished / "holdfast.toml").read_text()
    assert "# the plan" in text
    refused = cli(*"provider edit mimo --remove-model mimo-lit".split())
    assert (refused.exit_code, "did you mean 'mimo-" in refused.stderr) == (2, True)
    assert cli(*"provider edit mimo --strategy best".split()).exit_code == 2
    assert (furnished / "holdfast.toml").read_text() == text
