"""A host that a preset has is recognised, and whose a key is: one table, asked by every command, refusal and
importer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
import pytest

import holdfast
from cli.furnishing import Cli, write
from gateway.conftest import QUICK, TOKEN, Running
from holdfast.cli.run_choice import choice_of, find_harness
from holdfast.config import load
from holdfast.config.home import Home
from holdfast.core.errors import CannotHandOver
from holdfast.core.identity import Dialect, Endpoint, Pin
from holdfast.importers import codex, env, hermes, litellm, opencode, pi
from holdfast.importers.base import ImportResult
from holdfast.providers import presets, profiles
from tables import rows

PLAN = "https://token-plan-cn.xiaomimimo.com"


@pytest.mark.parametrize(
    ("url", "preset"),
    [
        (f"{PLAN}/v1", "mimo-plan-cn"),
        (f"{PLAN}/v1/", "mimo-plan-cn"),
        (f"{PLAN}/another/path", "mimo-plan-cn"),
        ("https://TOKEN-plan-cn.xiaomimimo.com:443/v1", "mimo-plan-cn"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("https://api.z.ai/api/anthropic", "zai-coding"),
        ("https://api.z.ai/elsewhere", None),
        ("https://opencode.ai/zen/go/v1", "opencode-go"),
        ("http://127.0.0.1:11434/v1", "ollama"),
        ("http://token-plan-cn.xiaomimimo.com/v1", "mimo-plan-cn"),
        ("https://token-plan-cn.xiaomimimo.com./v1", "mimo-plan-cn"),
        ("https://token-plan-cn.xiaomimimo.com.:443", "mimo-plan-cn"),
        ("https://token-plan-cn.xiaomimimo.com:8443/v1", None),
        ("HTTP://API.z.ai.:80/api/anthropic/", "zai-coding"),
        ("http://127.0.0.1:11435/v1", None),
        ("https://llm.corp.example/v1", None),
        ("not a url", None),
    ],
)
def test_a_host_is_known_by_its_address_or_where_one_preset_alone_has_it(
    url: str, preset: str | None
) -> None:
    known_host = presets.known_at(url)
    assert (known_host.preset if known_host is not None else None) == preset


@rows("name", presets.rows())
def test_every_address_of_a_preset_leads_back_to_it(name: str) -> None:
    for url in presets.find(name)["endpoints"].values():
        known_host = presets.known_at(url)
        assert known_host is not None
        assert known_host.preset == name


CERTAIN = "like a key of preset"
DOUBTFUL = "and the keys of preset"
MISPLACED = [
    ("tp-0123456789", "https://api.xiaomimimo.com/v1", CERTAIN),
    ("tp-0123456789", "https://api.deepseek.com", CERTAIN),
    ("sk-ant-0123456789", "https://openrouter.ai/api/v1", CERTAIN),
    ("sk-kimi-0123456789", "https://api.openai.com/v1", CERTAIN),
    ("sk-0123456789", "https://api.kimi.com/coding/v1", DOUBTFUL),
    ("sk-0123456789", f"{PLAN}/v1", DOUBTFUL),
    ("sk-ant-0123456789", "http://api.openai.com/v1", CERTAIN),
    ("sk-ant-0123456789", "https://api.openai.com./v1", CERTAIN),
    ("sk-ant-0123456789", "https://API.openai.com.:443", CERTAIN),
    # At home, and where nothing can be said.
    ("tp-0123456789", f"{PLAN}/v1", ""),
    ("sk-0123456789", "https://api.openai.com/v1", ""),
    ("sk-0123456789", "https://api.xiaomimimo.com/v1", ""),
    ("sk-0123456789", "https://api.deepseek.com", ""),
    ("sk-or-0123456789", "https://openrouter.ai/api", ""),
    ("a-form-nobody-knows", "https://api.openai.com/v1", ""),
    ("sk-ant-0123456789", "https://llm.corp.example/v1", ""),
    ("sk-ant-0123456789", "http://127.0.0.1:11434/v1", ""),
]


@pytest.mark.parametrize(("value", "url", "expected"), MISPLACED)
def test_a_key_is_recognised_by_its_prefix_and_its_host(value: str, url: str, expected: str) -> None:
    misplaced = presets.misplaced(value.startswith, [Endpoint(url)])
    assert (misplaced is None) == (not expected)
    if misplaced is not None:
        assert expected in misplaced.what
        assert bool(misplaced.owners) == (expected == CERTAIN)


def test_the_first_address_at_which_a_key_is_wrong_is_reported() -> None:
    places = [
        Endpoint("https://llm.corp.example/v1"),
        Endpoint("https://api.anthropic.com", Dialect.ANTHROPIC_MESSAGES),
    ]
    misplaced = presets.misplaced("xai-0123456789".startswith, places)
    assert misplaced is not None
    assert (misplaced.preset, misplaced.owners, misplaced.command("env:X")) == (
        "anthropic",
        ("xai",),
        "holdfast provider add xai --preset xai --key env:X",
    )


def test_the_profiles_and_the_presets_agree_on_the_prefixes_of_plans() -> None:
    for name in profiles.names():
        for prefix, hosts in profiles.load(name).plan_hosts.items():
            owners = [row for row in presets.rows().values() if prefix in row.get("key_prefixes", ())]
            at = {Endpoint(url).host for row in owners for url in row["endpoints"].values()}
            assert set(hosts.split()) == at, (name, prefix)


# What every command and page says about a host.

URL = f'url = "{PLAN}/v1"'
COMMAND = f"holdfast provider endpoint plan anthropic-messages={PLAN}/anthropic"
WARNING = (
    "token-plan-cn.xiaomimimo.com is the host of preset 'mimo-plan-cn', which also speaks anthropic-messages"
)


@pytest.fixture
def plan(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the plan by its URL alone, as the README adds it."""
    monkeypatch.setenv("PLAN_KEY", "tp-0123456789")
    write(
        home / "holdfast.toml",
        f'[provider.plan]\n{URL}   # mine\nmodels = ["m"]\nkeys = ["env:PLAN_KEY"]\ntranslate = "never"\n',
    )
    return home


def by_library(_: Path) -> str:
    with holdfast.open() as held:
        transport = held.session("s", "plan/m").transport()
        with httpx2.Client(transport=transport, base_url="http://holdfast.invalid") as client:
            return client.post("/v1/messages", json={"model": "m", "messages": [], "max_tokens": 5}).text


def by_gateway(home: Path) -> str:
    running = Running(home, QUICK, None, "asyncio")
    try:
        with httpx2.Client(base_url=running.root, headers={"authorization": f"Bearer {TOKEN}"}) as client:
            answer = client.post("/v1/messages", json={"model": "plan/m", "messages": [], "max_tokens": 5})
            assert answer.json()["error"]["holdfast"]["next_step"] == COMMAND
            return answer.text
    finally:
        running.close()


def by_run(_: Path) -> str:
    with holdfast.open() as held, pytest.raises(CannotHandOver) as refused:
        choice_of(held, find_harness("claude"), session="s", pin=Pin.parse("plan/m"), key=None)
    return str(refused.value)


@pytest.mark.parametrize("face", [by_library, by_gateway, by_run])
def test_a_refused_dialect_names_the_preset_that_has_it_and_the_command(
    plan: Path, face: Callable[[Path], str]
) -> None:
    output = face(plan)
    assert WARNING in output
    assert f"run: {COMMAND}" in output


@pytest.mark.parametrize(
    "words",
    [("doctor",), ("models", "--harness", "claude", "--all"), ("connect", "claude", "--pin", "plan/m")],
)
def test_a_command_that_looks_at_the_host_names_the_command(
    cli: Cli, plan: Path, words: tuple[str, ...]
) -> None:
    result = cli(*words)
    assert COMMAND in result.stdout + result.stderr


def test_a_provider_is_added_with_what_its_host_is_known_for(cli: Cli, home: Path) -> None:
    added = cli("provider", "add", "plan", "--url", f"{PLAN}/v1", "--key", "env:PLAN_KEY")
    assert WARNING in added.stdout
    assert f"run: {COMMAND}" in added.stdout
    assert "next: holdfast check plan" in added.stdout


def test_nothing_is_said_where_the_entry_has_all_that_is_known(cli: Cli, home: Path) -> None:
    assert (
        "preset"
        not in cli("provider", "add", "all", "--preset", "mimo-plan-cn", "--key", "env:PLAN_KEY").stdout
    )
    assert "preset" not in cli("provider", "add", "corp", "--url", "https://llm.corp.example/v1").stdout
    assert [
        finding
        for finding in json.loads(cli("doctor", "--json").stdout)["findings"]
        if finding["check"] == "address"
    ] == []


def test_the_command_that_is_offered_adds_what_it_says(cli: Cli, plan: Path) -> None:
    done = cli(*COMMAND.split()[1:])
    assert (done.exit_code, done.stderr) == (0, "")
    assert (plan / "holdfast.toml").read_text() == (
        f'[provider.plan]\nendpoints = {{openai-chat = "{PLAN}/v1", anthropic-messages = "{PLAN}/anthropic"}}'
        '   # mine\nmodels = ["m"]\nkeys = ["env:PLAN_KEY"]\ntranslate = "never"\n'
    )
    with holdfast.open() as held:
        handed = choice_of(held, find_harness("claude"), session="s", pin=Pin.parse("plan/m"), key=None)
    assert handed.connection.endpoint.url == f"{PLAN}/anthropic"


@pytest.mark.parametrize("name", [name for name, row in presets.rows().items() if len(row["endpoints"]) > 1])
def test_every_offer_of_the_table_can_be_taken(cli: Cli, home: Path, name: str) -> None:
    """From the first dialect of a preset, written as a URL, to all of them, with the key shown as the preset
    says."""
    row = presets.find(name)
    dialect, url = next(iter(row["endpoints"].items()))
    auth = ["--auth", row["auth"]] if "auth" in row else []
    added = cli("provider", "add", "mine", "--url", url, "--dialect", dialect, *auth)
    (command,) = [
        line.partition("run: holdfast ")[2].partition("   (")[0]
        for line in added.stdout.splitlines()
        if "run: " in line
    ]
    assert cli(*command.split()).exit_code == 0
    (made,) = load(Home.find()).providers.values()
    assert {endpoint.dialect: endpoint.url for endpoint in made.endpoints} == row["endpoints"]
    assert {str(endpoint.auth) for endpoint in made.endpoints} == {row.get("auth", "bearer")}


# An address in a dialect that is not spoken there.

ANTHROPIC = "https://api.anthropic.com"
ITS_DIALECT = "is the anthropic-messages address of preset"


@pytest.mark.parametrize(
    "url",
    [
        ANTHROPIC,
        f"{ANTHROPIC}/",
        "http://api.anthropic.com.:80",
        f"{PLAN}/anthropic",
        "https://api.deepseek.com/anthropic",
        "http://127.0.0.1:11434",
    ],
)
def test_an_address_of_another_dialect_is_refused_with_the_command_that_names_it(
    cli: Cli, home: Path, url: str
) -> None:
    words = (
        "provider",
        "add",
        "x",
        "--url",
        url,
        "--model",
        "m",
        "--key",
        "env:PLAN_KEY",
        "--auth",
        "bearer",
    )
    refused = cli(*words)
    assert refused.exit_code == 2
    assert ITS_DIALECT in refused.stderr
    assert not (home / "holdfast.toml").exists()
    command = refused.stderr.partition("run: holdfast ")[2].strip()
    assert cli(*shlex.split(command)).exit_code == 0
    (made,) = load(Home.find()).providers.values()
    assert [str(endpoint.dialect) for endpoint in made.endpoints] == ["anthropic-messages"]
    assert (made.models, [key.ref for key in made.keys]) == (("m",), ["env:PLAN_KEY"])


@pytest.mark.parametrize("url", ["https://api.anthropic.com/v1", f"{PLAN}/v1", "https://llm.corp.example"])
def test_an_address_that_no_preset_has_in_another_dialect_is_added(cli: Cli, home: Path, url: str) -> None:
    added = cli("provider", "add", "x", "--url", url)
    assert added.exit_code == 0
    assert ITS_DIALECT not in added.stdout


@pytest.mark.parametrize("text", ['url = "{}"', 'endpoints = {{ openai-chat = "{}" }}'])
def test_doctor_replaces_an_endpoint_in_a_dialect_that_is_not_spoken_there(
    cli: Cli, home: Path, text: str
) -> None:
    write(home / "holdfast.toml", f"[provider.x]\n{text.format(ANTHROPIC)}\n")
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    runs = [finding["run"] for finding in findings if ITS_DIALECT in finding["what"]]
    assert len(runs) == 1
    assert cli(*runs[0].partition("   (")[0].split()[1:]).exit_code == 0
    (made,) = load(Home.find()).providers.values()
    assert [(str(endpoint.dialect), endpoint.url) for endpoint in made.endpoints] == [
        ("anthropic-messages", ANTHROPIC)
    ]


def test_a_dialect_that_the_user_names_is_accepted_and_doubted(cli: Cli, home: Path) -> None:
    added = cli("provider", "add", "x", "--url", ANTHROPIC, "--dialect", "openai-chat")
    assert added.exit_code == 0
    assert ITS_DIALECT in added.stdout


# What every command and page says about a key.

PAY_AS_YOU_GO = '[provider.payg]\npreset = "mimo"\nkeys = ["env:PLAN_KEY"]\n'
WRONG_PLACE = "it begins with tp- like a key of preset 'mimo-plan-cn'"


@pytest.fixture
def misplaced_key(plan: Path) -> Path:
    """A home in which the plan's key is written in the entry of another preset."""
    write(plan / "holdfast.toml", PAY_AS_YOU_GO)
    return plan


def test_a_key_that_is_given_to_another_presets_provider_is_reported(cli: Cli, misplaced_key: Path) -> None:
    added = cli("provider", "add", "other", "--preset", "mimo", "--key", "env:PLAN_KEY").stdout
    given = cli("key", "add", "payg", "--from", "-", "--label", "b", input="tp-9876543210\n").stdout
    for output in (added, given):
        assert WRONG_PLACE in output
        assert "run: holdfast provider add NAME --preset PRESET" in output
        assert "next: holdfast check" not in output


def test_doctor_and_check_say_whose_key_it_seems_to_be(
    cli: Cli, misplaced_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    (note,) = [finding for finding in findings if finding["check"] == "key" and finding["level"] == "note"]
    assert WRONG_PLACE in note["what"]
    assert note["run"] == "holdfast provider add NAME --preset PRESET --key env:PLAN_KEY"
    monkeypatch.setattr("holdfast.engine.model_lists.refresh", lambda *_, **__: ())
    output = cli("check", "payg")
    assert [
        line for line in output.stdout.splitlines() if line.startswith("note   key") and WRONG_PLACE in line
    ]
    assert output.exit_code == 0


def test_a_key_that_may_be_right_is_left_to_the_provider_to_judge(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAN_KEY", "sk-0123456789")
    output = cli("provider", "add", "plan", "--url", f"{PLAN}/v1", "--key", "env:PLAN_KEY").stdout
    assert "begin with tp-" in output
    assert "run: holdfast check plan   (asks the provider)" in output


SECRET = "tp-plan-7c1d0b4e9f2a5836"


def write_file(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def from_env(_: Path, environ: Mapping[str, str]) -> ImportResult:
    return env.read(None, {**environ, "XIAOMI_API_KEY": SECRET})


def from_a_dotenv(at: Path, environ: Mapping[str, str]) -> ImportResult:
    return env.read(write_file(at / ".env", f"XIAOMI_API_KEY={SECRET}\n"), environ)


def from_hermes(at: Path, environ: Mapping[str, str]) -> ImportResult:
    write_file(at / "config.yaml", "{}")
    write_file(at / ".env", f"XIAOMI_API_KEY={SECRET}\n")
    return hermes.read(at, environ)


def from_litellm(at: Path, environ: Mapping[str, str]) -> ImportResult:
    params = {
        "model": "xiaomi_mimo/m",
        "api_base": "https://api.xiaomimimo.com/v1",
        "custom_llm_provider": "openai",
        "api_key": SECRET,
    }
    return litellm.read(
        write_file(at / "config.yaml", {"model_list": [{"model_name": "m", "litellm_params": params}]}),
        environ,
    )


def from_opencode(at: Path, environ: Mapping[str, str]) -> ImportResult:
    write_file(at / "share/opencode/auth.json", {"xiaomi": {"type": "api", "key": SECRET}})
    return opencode.read(at / "opencode.json", {**environ, "XDG_DATA_HOME": str(at / "share")})


def from_pi(at: Path, environ: Mapping[str, str]) -> ImportResult:
    write_file(at / "auth.json", {"xiaomi": {"type": "api_key", "key": SECRET}})
    return pi.read(at, environ)


def from_codex(at: Path, environ: Mapping[str, str]) -> ImportResult:
    write_file(
        at / "config.toml",
        '[model_providers.mimo]\nbase_url = "https://api.xiaomimimo.com/v1"\nenv_key = "PLAN"\n',
    )
    return codex.read(at, {**environ, "PLAN": SECRET})


@pytest.mark.parametrize(
    "read", [from_env, from_a_dotenv, from_hermes, from_litellm, from_opencode, from_pi, from_codex]
)
def test_no_importer_carries_a_key_to_the_host_of_another_preset(
    tmp_path: Path, read: Callable[[Path, Mapping[str, str]], ImportResult]
) -> None:
    result = read(tmp_path, {"HOME": str(tmp_path)})
    assert [key for entry in result.entries for key in entry.keys] == []
    output = "\n".join(f"{what}: {why}" for what, why in result.left_out)
    assert WRONG_PLACE in output
    assert "holdfast provider add NAME --preset PRESET" in output
    assert SECRET not in output
