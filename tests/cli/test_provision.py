"""`holdfast provision` and `holdfast heal`: what a person reads, what a program reads, and what is never done
without a yes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cli.furnishing import Cli
from holdfast.cli.output import clock
from holdfast.cli.provision_views import why
from holdfast.core.identity import ProviderName
from holdfast.core.provisioning_state import Capability, Record
from holdfast.fake_provider.control import AmazeePlane, cut, refusing

ROLES = ("--role", "answer=*sonnet*", "--role", "expand=*haiku*,*mini*")
LISTS = ("/v1/models", "/model/info")


def test_without_accept_the_offer_is_shown_and_nothing_is_obtained(cli: Cli, service: AmazeePlane) -> None:
    result = cli("provision", "amazee", "--url", service.root, "--role", "answer=*sonnet*")
    assert result.exit_code == 4
    again = f"holdfast provision amazee --url {service.root} --role 'answer=*sonnet*' --accept"
    assert f"run: {again}   (with your consent)" in result.stderr
    assert (
        "it makes a user, a key with a small budget (about $2) and a database there, "
        "and cannot be asked for again" in result.stderr
    )
    assert service.minted == service.attempts == 0


def test_a_provider_is_set_up_verified_and_shown(cli: Cli, service: AmazeePlane, home: Path) -> None:
    result = cli("provision", "amazee", "--url", service.root, *ROLES, "--accept")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "answer: amazee/claude-sonnet-4-5" in result.stdout
    assert "holdfast check amazee/claude-sonnet-4-5" in result.stdout
    assert cli("provision", "verify", "amazee").stdout.startswith("provider 'amazee' is verified")
    (shown,) = json.loads(cli("provision", "status", "--json").stdout)
    assert (shown["state"], shown["roles"]) == (
        "verified",
        {"answer": "claude-sonnet-4-5", "expand": "claude-haiku-4-5"},
    )
    assert shown["consent"]["by"] == "the user of the command line"
    assert "claude-sonnet-4-5" in cli("provision", "status").stdout
    assert cli("provision", "amazee").exit_code == 0, "it is safe to repeat"
    assert service.minted == 1
    everything = result.stdout + json.dumps(shown) + (home / "holdfast.toml").read_text()
    assert "sk-amazee" not in everything


def test_an_unresolved_provider_is_reported_and_repaired_at_once(cli: Cli, service: AmazeePlane) -> None:
    for path in LISTS:
        service.spoil(path, refusing(403, {"detail": "not allowed to call this route"}))
    result = cli("provision", "amazee", "--url", service.root, *ROLES, "--accept", "--json")
    assert result.exit_code == 4
    assert json.loads(result.stdout)["reason"] == "list_forbidden"
    result = cli("heal", "--json")
    assert (
        result.exit_code,
        [(provider["name"], provider["ready"]) for provider in json.loads(result.stdout)],
    ) == (
        0,
        [("amazee", True)],
    )
    assert service.minted == 1


def test_a_lost_trial_is_explained_and_can_be_adopted(cli: Cli, service: AmazeePlane) -> None:
    service.spoil("/auth/generate-trial-access", cut)
    assert cli("provision", "amazee", "--url", service.root, *ROLES, "--accept").exit_code == 4
    result = cli("provision", "repair", "amazee")
    assert "It is unknown if it was created" in result.stdout
    assert "holdfast provision amazee --accept --again" in result.stdout
    result = cli(
        "provision", "adopt", "amazee", "--url", service.root, "--from", "-", input=next(iter(service.keys))
    )
    assert (result.exit_code, service.minted) == (0, 1)


def test_a_role_is_given_another_model_and_a_wrong_pattern_is_refused(cli: Cli, service: AmazeePlane) -> None:
    cli(
        "provision",
        "team",
        "--kind",
        "litellm",
        "--url",
        service.root,
        "--admin",
        "env:PROXY_ADMIN",
        "--set",
        "budget=5",
        "--accept",
    )
    result = cli("provision", "resolve", "team", "--role", "answer=*opus*")
    assert (
        result.exit_code,
        "none of these does it: claude-sonnet-4-5, claude-haiku-4-5" in result.stderr,
    ) == (
        4,
        True,
    )
    assert (
        "team/claude-haiku-4-5"
        in cli("provision", "resolve", "team", "--role", "answer=pin:claude-haiku-4-5").stdout
    )
    result = cli("provision", "retire", "team")
    assert (result.stdout, service.keys) == ("'team' is retired; its key was given back\n", {})
    assert "only forgotten here" not in result.stdout
    assert cli("heal").exit_code == 1


def test_what_was_retired_can_be_retired_again_and_obtained_again(cli: Cli, service: AmazeePlane) -> None:
    obtain = (
        "provision",
        "team",
        "--kind",
        "litellm",
        "--url",
        service.root,
        "--admin",
        "env:PROXY_ADMIN",
        "--accept",
    )
    cli(*obtain)
    for _ in range(2):
        result = cli("provision", "retire", "team")
        assert (result.exit_code, result.stdout) == (0, "'team' is retired; its key was given back\n")
    assert (refused := cli("provision", "verify", "team")).exit_code == 4
    assert "holdfast provision team --accept" in refused.stderr
    assert "is resolved" in cli("provision", "team", "--accept").stdout
    assert len(service.keys) == 1


def test_what_was_refused_can_be_retired_and_had_no_key(cli: Cli, service: AmazeePlane) -> None:
    service.spoil("/key/generate", refusing(403, {"detail": "not you"}))
    cli(
        "provision",
        "team",
        "--kind",
        "litellm",
        "--url",
        service.root,
        "--admin",
        "env:PROXY_ADMIN",
        "--accept",
    )
    assert cli("provision", "retire", "team").stdout == "'team' is retired; it had no key\n"


_MINE = '[provider.team]  # mine\nurl = "https://mine.example/v1"\nkeys = ["env:MINE"]\n'


def test_a_key_to_adopt_is_asked_for_with_the_command_that_adopts(cli: Cli, service: AmazeePlane) -> None:
    result = cli("provision", "adopt", "team", "--kind", "litellm", "--url", service.root)
    assert (result.exit_code, "there is no terminal to ask for the key on" in result.stderr) == (2, True)
    assert f"run: holdfast provision adopt team --kind litellm --url {service.root} --from -" in result.stderr


def test_an_entry_that_its_user_wrote_is_not_adopted_into(cli: Cli, service: AmazeePlane, home: Path) -> None:
    (home / "holdfast.toml").write_text(_MINE)
    result = cli(
        "provision",
        "adopt",
        "team",
        "--kind",
        "litellm",
        "--url",
        service.root,
        "--from",
        "-",
        input="sk-another-key-000000",
    )
    assert (result.exit_code, "a key of your own" in result.stderr) == (2, True)
    assert (home / "holdfast.toml").read_text() == _MINE


def test_an_entry_that_its_user_wrote_in_the_place_of_ours_stays_whatever_is_healed_or_retired(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    cli(
        "provision",
        "team",
        "--kind",
        "litellm",
        "--url",
        service.root,
        "--admin",
        "env:PROXY_ADMIN",
        "--accept",
    )
    (home / "holdfast.toml").write_text(_MINE)
    cli("heal")
    cli("provision", "resolve", "team")
    cli("provision", "retire", "team")
    assert (home / "holdfast.toml").read_text() == _MINE


@pytest.mark.parametrize(
    "arguments",
    [
        ("provision", "nobody", "--accept"),
        (
            "provision",
            "x",
            "--kind",
            "litellm",
            "--url",
            "https://h.example",
            "--admin",
            "sk-literal-key-0000000000",
            "--accept",
        ),
        ("provision", "x", "--kind", "litellm", "--set", "budget", "--accept"),
        ("provision", "x", "--kind", "litellm", "--role", "answer", "--accept"),
        ("provision", "verify", "nobody"),
        ("provision", "resolve", "nobody"),
        ("provision", "custom", "--kind", "amazee", "--accept"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked_and_no_key_is_repeated(
    cli: Cli, service: AmazeePlane, arguments: tuple[str, ...]
) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert "run: " in result.stderr
    assert "sk-literal" not in result.stderr
    assert service.attempts == service.minted == 0


def test_a_record_that_cannot_be_read_is_shown_and_forgotten_on_request(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    cli("provision", "amazee", "--url", service.root, "--accept")
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.execute("UPDATE provision SET record = '{'")
    assert "quarantined" in cli("provision", "status").stdout
    healed = cli("heal")
    assert (healed.exit_code, "holdfast provision repair amazee --discard" in healed.stdout) == (1, True)
    refused = cli("provision", "repair", "amazee")
    assert (refused.exit_code, "holdfast provision repair amazee --discard" in refused.stderr) == (4, True)
    assert cli("provision", "amazee", "--url", service.root, "--accept").exit_code == 4
    assert cli("provision", "repair", "amazee", "--discard").exit_code == 0
    result = cli("provision", "amazee", "--url", service.root, "--accept")
    assert (result.exit_code, service.minted) == (0, 1), "its key is still in the configuration, and is used"


@pytest.mark.parametrize(
    ("written", "kind"),
    [("{", "KIND"), ("[]", "KIND"), ('{"format": 2, "kind": "amazee"}', "amazee"), ('{"format": 1}', "KIND")],
)
def test_a_forgotten_record_leaves_a_command_that_works(
    cli: Cli, service: AmazeePlane, home: Path, written: str, kind: str
) -> None:
    cli("provision", "team", "--kind", "amazee", "--url", service.root, "--accept")
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        (row,) = database.execute("SELECT name, state, version FROM provision").fetchall()
        database.execute("UPDATE provision SET record = ?", (written,))
    assert "next: holdfast check team " in cli("provision", "repair", "team", "--discard").stdout
    assert cli("check", "team").exit_code == 0
    cli("provider", "remove", "team")
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.execute("INSERT INTO provision VALUES (?, ?, ?, ?)", (*row, written))
    after = cli("provision", "repair", "team", "--discard").stdout
    assert f"next: holdfast provision adopt team --kind {kind} --url URL " in after
    command = after.partition("holdfast ")[2].partition("  ")[0].strip()
    command = command.replace("KIND", "amazee").replace("URL", service.root)
    adopted = cli(*command.split(), "--from", "-", input=next(iter(service.keys)))
    assert (adopted.exit_code, adopted.stderr) == (0, "")


@pytest.mark.parametrize(
    ("reason", "next_at", "shown"),
    [
        ("", 0.0, ""),
        ("busy", 0.0, "busy: wait"),
        ("", 5e8, f"next try at {clock(5e8)}"),
        ("busy", 5e8, f"busy: wait; next try at {clock(5e8)}"),
    ],
)
def test_a_record_says_only_what_it_has_a_reason_or_a_time_for(
    reason: str, next_at: float, shown: str
) -> None:
    record = Record(ProviderName("team"), "litellm", Capability.REPLAYABLE, reason=reason, next_at=next_at)
    assert why(replace(record, detail="wait")) == shown


def test_where_nothing_was_set_up_nothing_is_made(cli: Cli, home: Path) -> None:
    assert cli("heal").stdout == "no provider to repair\n"
    assert json.loads(cli("heal", "--json").stdout) == []
    assert "nothing was set up yet" in cli("provision", "status").stdout
    assert list(home.iterdir()) == []


OBTAIN_TEAM = ("provision", "team", "--kind", "litellm", "--admin", "env:PROXY_ADMIN", "--accept")


def test_a_provider_whose_key_is_not_here_is_not_shown_as_usable(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    cli("provision", "amazee", "--url", service.root, *ROLES, "--accept")
    (home / "secrets.toml").unlink()
    (shown,) = json.loads(cli("provision", "status", "--json").stdout)
    assert shown["key_here"] is False
    assert "no key here" in cli("provision", "status").stdout
    healed = cli("heal")
    assert (healed.exit_code, "holdfast key add amazee --from store:amazee-1-" in healed.stdout) == (1, True)
    command = healed.stdout.partition("holdfast ")[2].partition("  ")[0].split()
    value = next(iter(service.keys))
    assert cli(*command[:2], "amazee", "--label", command[-1].partition(":")[2], "--from", "-", input=value)
    assert cli("heal").exit_code == 0


def test_a_key_of_our_own_value_that_is_not_here_is_computed_again(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    cli(*OBTAIN_TEAM, "--url", service.root, *ROLES)
    (home / "secrets.toml").unlink()
    assert cli("heal").exit_code == 0
    assert cli("provision", "verify", "team").exit_code == 0


def test_a_role_without_a_model_is_not_called_ready(cli: Cli, service: AmazeePlane) -> None:
    del service.models["claude-haiku-4-5"]
    cli(*OBTAIN_TEAM, "--url", service.root, *ROLES)
    healed = cli("heal")
    assert (healed.exit_code, "holdfast provision resolve team --role expand=PATTERN" in healed.stdout) == (
        1,
        True,
    )


def test_a_repair_does_not_advise_itself(cli: Cli, service: AmazeePlane) -> None:
    service.spoil("/auth/generate-trial-access", cut)
    cli("provision", "amazee", "--url", service.root, *ROLES, "--accept")
    repaired = cli("provision", "repair", "amazee")
    assert (repaired.exit_code, "run: holdfast provision adopt amazee --url URL" in repaired.stderr) == (
        4,
        True,
    )


def test_a_key_that_is_stored_here_can_be_adopted_without_typing_it(
    cli: Cli, service: AmazeePlane, home: Path
) -> None:
    cli(*OBTAIN_TEAM, "--url", service.root, *ROLES)
    (home / "holdfast.toml").unlink()
    (home / "state.db").unlink()
    refused = cli(*OBTAIN_TEAM, "--url", service.root)
    assert refused.exit_code == 4
    command = refused.stderr.partition("run: holdfast ")[2].strip().replace("URL", service.root).split()
    assert cli(*command).exit_code == 0
    assert service.minted == 1
    wrong = cli("provision", "adopt", "team", "--url", service.root, "--from", "store:nothing")
    assert (wrong.exit_code, "no key 'nothing' is stored for 'team'" in wrong.stderr) == (2, True)


def test_a_service_that_gives_no_answer_keeps_the_key_until_it_does(cli: Cli, service: AmazeePlane) -> None:
    cli(*OBTAIN_TEAM, "--url", service.root)
    service.spoil("/key/delete", refusing(503, {}))
    refused = cli("provision", "retire", "team")
    assert refused.exit_code == 4
    assert "run: holdfast provision retire team --only-here" in refused.stderr
    again = cli("provision", "retire", "team")
    assert again.stdout == (
        "'team' is retired; the service does not know its key (any more), and it was deleted here\n"
    )
