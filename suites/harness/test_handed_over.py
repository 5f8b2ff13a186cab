"""The real programs, handed a connection: the right host, key and model at the provider, and the key nowhere
else."""

from __future__ import annotations

import contextlib
import json
import subprocess

import programs
import pytest
from stage import ASK, CHAT, KEY, MESSAGES, RESPONSES, Stage

from holdfast.core.identity import Dialect
from holdfast.fake_provider import ok, only_keys, status

WIRES = [
    ("pi", CHAT),
    ("pi", RESPONSES),
    ("pi", MESSAGES),
    ("pi-old", CHAT),
    ("llm", CHAT),
    ("claude", MESSAGES),
    ("codex", RESPONSES),
    ("opencode", CHAT),
    ("opencode", RESPONSES),
    ("opencode", MESSAGES),
    ("copilot", CHAT),
    ("copilot", RESPONSES),
    ("copilot", MESSAGES),
    ("kimi", CHAT),
    ("kimi", RESPONSES),
    ("kimi", MESSAGES),
    ("droid", CHAT),
    ("droid", RESPONSES),
    ("droid", MESSAGES),
    ("kilo", CHAT),
    ("hermes", CHAT),
    ("hermes", RESPONSES),
    ("qwen", CHAT),
    ("qwen", MESSAGES),
    ("continue", CHAT),
    ("continue", MESSAGES),
    ("aider", CHAT),
]
FIRST = dict(reversed(WIRES))
MAIN = ["pi", "claude", "codex", "opencode", "copilot", "kimi", "droid", "hermes", "qwen"]


@pytest.mark.parametrize(("program", "dialect"), WIRES)
def test_the_provider_sees_its_host_the_pin_s_model_and_its_key_and_the_key_is_nowhere_else(
    program: str, dialect: Dialect, on_stage: Stage
) -> None:
    on_stage.configure(dialect)
    ended = on_stage.run(program)
    assert ended.code == 0, ended.err
    assert {(call.key, call.model, call.dialect) for call in on_stage.provider.calls} == {
        (KEY, "good-model", dialect)
    }
    assert {call.headers["host"] for call in on_stage.provider.calls} == {
        f"127.0.0.1:{on_stage.provider.port}"
    }
    assert ended.leaks == set()
    assert KEY not in ended.out + ended.err
    assert on_stage.files_with_key() == []
    assert (
        f"mimo-plan/good-model at 127.0.0.1:{on_stage.provider.port} with key 'MIMO_KEY' answered"
        in ended.err
    )


@pytest.mark.parametrize(("program", "dialect"), [*FIRST.items()])
def test_direct_the_key_is_in_one_variable_of_the_program_and_nowhere_else(
    program: str, dialect: Dialect, on_stage: Stage
) -> None:
    on_stage.configure(dialect, more="", ref="env:MIMO_KEY")
    if dialect is MESSAGES:
        text = (on_stage.home / "holdfast.toml").read_text()
        (on_stage.home / "holdfast.toml").write_text(text + 'auth = "x-api-key"\n')
    ended = on_stage.run(program, options=("--direct",))
    assert ended.code == 0, ended.err
    assert {(call.key, call.model) for call in on_stage.provider.calls} == {(KEY, "good-model")}
    assert len(ended.leaks) == 1
    assert on_stage.files_with_key() == []


@pytest.mark.parametrize("program", [*FIRST])
def test_without_us_the_program_knows_nothing_of_the_provider(program: str, on_stage: Stage) -> None:
    """Without us the tests above would fail: the user's key and endpoint alone are of no use."""
    on_stage.configure(FIRST[program])
    command = programs.COMMANDS.get(program, program)
    arguments = (
        ASK[program]
        if program in ("continue", "qwen", "codex", "opencode", "droid", "kilo", "hermes")
        else ("--model", "good-model", *ASK[program])
    )
    with contextlib.suppress(subprocess.TimeoutExpired):  # some wait for a login, or for the network
        on_stage.start([command, *arguments], on_stage.environment(program), 20)
    assert on_stage.provider.calls == []


@pytest.mark.parametrize("program", ["pi", "claude", "codex", "opencode"])
def test_gap_a_an_entry_that_is_named_like_a_known_maker_is_handed_over_like_any(
    program: str, on_stage: Stage
) -> None:
    name = "anthropic" if program == "claude" else "openai"
    on_stage.configure(FIRST[program], name=name)
    assert on_stage.run(program, pin=f"{name}/good-model").code == 0
    assert {(call.key, call.model) for call in on_stage.provider.calls} == {(KEY, "good-model")}


@pytest.mark.parametrize("program", MAIN)
def test_gap_c_another_model_that_answers_is_an_error(program: str, on_stage: Stage) -> None:
    on_stage.configure(FIRST[program])
    on_stage.provider.follow(ok("pong", model="cheaper-model"))
    ended = on_stage.run(program)
    assert ended.code == 1
    assert "'cheaper-model' answered, and 'good-model' was chosen" in ended.err


@pytest.mark.parametrize("program", [*MAIN, "kilo", "hermes", "llm", "aider"])
def test_gap_c_a_model_that_the_pin_did_not_choose_is_refused_before_any_request(
    program: str, on_stage: Stage
) -> None:
    on_stage.configure(FIRST[program])
    ended = on_stage.run(program, "--model" if program != "llm" else "-m", "other-model", *ASK[program])
    assert ended.code == 2
    assert "would choose another connection" in ended.err
    assert on_stage.provider.calls == []


@pytest.mark.drives(*programs.environments("pi"))
def test_gap_e_the_variable_s_name_is_ours_to_read_and_the_program_need_not_know_it(on_stage: Stage) -> None:
    variable = "TOGETHERAI_API_KEY"
    on_stage.configure(CHAT, name="together", ref=f"env:{variable}")
    on_stage.more = {variable: KEY}
    ended = on_stage.run("pi", pin="together/good-model")
    assert ended.code == 0, ended.err
    assert {call.key for call in on_stage.provider.calls} == {KEY}
    assert ended.leaks == set()


@pytest.mark.parametrize("program", MAIN)
def test_a_transient_refusal_of_a_good_key_is_not_noticed_by_the_program(
    program: str, on_stage: Stage
) -> None:
    on_stage.configure(FIRST[program])
    assert on_stage.run(program).code == 0
    on_stage.provider.follow([status(401), only_keys([KEY], ok("pong"))])
    ended = on_stage.run(program)
    assert ended.code == 0, ended.err
    assert ended.out.count("401") == 0


@pytest.mark.parametrize("program", ["pi", "claude", "codex", "copilot", "kimi", "droid"])
def test_a_refusal_that_stays_is_reported_once_and_the_program_does_not_repeat_it(
    program: str, on_stage: Stage
) -> None:
    on_stage.configure(FIRST[program])
    on_stage.provider.follow(status(401))
    ended = on_stage.run(program)
    assert ended.code != 0
    assert len(on_stage.provider.calls) == 1


@pytest.mark.drives(*programs.environments("pi"))
def test_a_resumed_conversation_stays_on_its_pin_although_another_provider_could_be_used(
    on_stage: Stage,
) -> None:
    """Alone, Pi sends the whole transcript to the other host, with exit code 0, and stays there."""
    on_stage.configure(CHAT)
    on_stage.more = {"OPENAI_API_KEY": "sk-ambient-other-0000000000", "OPENAI_BASE_URL": on_stage.evil.url}
    assert on_stage.run("pi", "-p", "First.").code == 0
    ended = on_stage.run("pi", "-c", "-p", "Second.", pin=None)
    assert ended.code == 0, ended.err
    assert [call.model for call in on_stage.provider.calls] == ["good-model"] * 2
    assert b"First." in on_stage.provider.calls[1].body
    on_stage.more |= {"MIMO_KEY": ""}
    refused = on_stage.run("pi", "-c", "-p", "Third.", pin=None)
    assert refused.code == 2
    assert "cannot read key" in refused.err
    assert on_stage.evil.requests == []
    assert len(on_stage.provider.calls) == 2


@pytest.mark.parametrize(
    ("program", "resume"),
    [
        ("codex", ("exec", "resume", "--last", "--skip-git-repo-check", "Second.")),
        ("claude", ("-c", "-p", "Second.")),
        ("opencode", ("run", "-c", "Second.")),
        ("kilo", ("run", "-c", "Second.")),
        ("hermes", ("chat", "--continue", "-q", "Second.")),
        ("copilot", ("--continue", "-p", "Second.")),
        ("kimi", ("-c", "-p", "Second.")),
    ],
)
def test_the_program_s_own_resume_stays_on_the_pin(
    program: str, resume: tuple[str, ...], on_stage: Stage
) -> None:
    on_stage.configure(FIRST[program])
    assert on_stage.run(program).code == 0
    before = len(on_stage.provider.calls)
    ended = on_stage.run(program, *resume, pin=None)
    assert ended.code == 0, ended.err
    later = on_stage.provider.calls[before:]
    assert {(call.key, call.model) for call in later} == {(KEY, "good-model")}
    assert any(b"Say pong." in call.body for call in later)


@pytest.mark.drives(*programs.environments("codex"))
def test_a_chat_only_provider_that_is_not_translated_is_refused_for_codex_with_the_next_command(
    on_stage: Stage,
) -> None:
    on_stage.configure(
        CHAT,
        more=(
            f'[provider.router]\nurl = "{on_stage.provider.url}"\ndialect = "openai-responses"\n'
            'keys = ["env:MIMO_KEY"]\n'
        ),
    )
    file = on_stage.home / "holdfast.toml"
    file.write_text(file.read_text() + 'translate = "never"\n')
    ended = on_stage.run("codex")
    assert ended.code == 2
    assert "codex speaks openai-responses; provider 'mimo-plan' has openai-chat" in ended.err
    assert "of your providers, 'router' speaks openai-responses" in ended.err


@pytest.mark.drives(*programs.environments("pi"))
def test_pi_says_itself_which_provider_model_and_address_it_is_on(on_stage: Stage) -> None:
    on_stage.configure(CHAT)
    ended = on_stage.run("pi", "--mode", "json", "-p", "Say pong.")
    events = [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]
    spoken = [
        event["message"]
        for event in events
        if event.get("type") == "message_end" and event["message"].get("role") == "assistant"
    ]
    assert {(message["provider"], message["model"]) for message in spoken} == {
        ("holdfast-mimo-plan", "good-model")
    }


@pytest.mark.drives(*programs.environments("pi"))
def test_a_running_program_s_files_hold_references_and_are_gone_afterwards(on_stage: Stage) -> None:
    on_stage.configure(CHAT)
    on_stage.run("pi")
    assert not list(on_stage.home.rglob("models.json"))
