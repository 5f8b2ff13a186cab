"""`check --caps` finds out what an endpoint takes by small calls, says what they cost, and writes what
differs into the file, by which translations go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.furnishing import CANARY, Cli, write
from holdfast.calls.abilities import Abilities, Undecided
from holdfast.config import Home, load
from holdfast.core.errors import ConfigError
from holdfast.core.faults import Reply
from holdfast.core.identity import Dialect, ProviderName
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status
from tables import rows

CHAT, MESSAGES, RESPONSES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES
MINE = ProviderName("mine")


def refusing(*members: str, texts: tuple[str, ...] = ()) -> Callable[[SeenRequest], Behaviour]:
    """A server that refuses requests with these members, or with these texts anywhere."""

    def answer(seen: SeenRequest) -> Behaviour:
        if {*members} & seen.asked.keys() or any(text.encode() in seen.body for text in texts):
            return status(400, {"error": {"message": "no, or max_completion_tokens"}})
        return ok()

    return answer


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("MIMO_KEY", CANARY)
    with ScriptedProvider(models=["small"]) as provider:
        entry = f'[provider.mine]\nurl = "{provider.url}"  # mine\nkeys = ["env:MIMO_KEY"]\n'
        write(home / "holdfast.toml", entry)
        yield provider


def caps_in(home: Path, dialect: Dialect = CHAT) -> dict[str, object]:
    return dict(load(Home.at(home)).caps.get((MINE, dialect), {}))


def test_what_is_refused_is_found_told_and_written(cli: Cli, server: ScriptedProvider, home: Path) -> None:
    server.follow(refusing("max_tokens", "seed", "response_format", texts=("image_url", '"developer"')))
    result = cli("check", "mine/small", "--no-probe", "--caps", "--yes")
    assert result.exit_code == 0, result.output
    lines = [line.removeprefix("note   caps     ") for line in result.stdout.splitlines() if " caps " in line]
    assert "the limit of output is called max_completion_tokens" in lines
    assert {"seed: refused", "penalties: taken", "json_object: refused", "tools: taken"} <= {*lines}
    assert any(line.startswith("cost ") and line.endswith("tokens counted by the provider") for line in lines)
    assert 'for its models: { id = "small", input = ["text"] }' in lines
    written = caps_in(home)
    assert written == {
        "max_tokens": "max_completion_tokens",
        "seed": False,
        "top_k": True,
        "json_object": False,
        "schema": False,
        "mid_system": True,
        "cache_key": True,
    }
    assert "# mine" in (home / "holdfast.toml").read_text()
    again = cli("check", "mine/small", "--no-probe", "--caps", "--yes").stdout
    assert "nothing differs from what is known of this endpoint" in again
    assert caps_in(home) == written


def test_without_yes_the_lines_are_printed_and_nothing_is_written(
    cli: Cli, server: ScriptedProvider, home: Path
) -> None:
    server.follow(refusing("tools"))
    before = (home / "holdfast.toml").read_text()
    printed = cli("check", "mine/small", "--no-probe", "--caps").stdout
    assert "for [provider.mine]: caps = { openai-chat = {" in printed
    assert "tools = false" in printed
    assert (home / "holdfast.toml").read_text() == before
    assert "tool_choice" not in printed  # nothing is asked that needs tools


def test_a_check_without_a_model_or_that_failed_costs_no_calls(cli: Cli, server: ScriptedProvider) -> None:
    result = cli("check", "mine", "--no-probe", "--caps")
    assert (result.exit_code, "holdfast check mine/MODEL --caps" in result.stderr) == (2, True)
    assert server.calls == []
    server.follow(status(401))
    assert cli("check", "mine/small", "--no-probe", "--caps").exit_code == 4
    assert len(server.calls) == 1


def answering(refused: set[str], then: Any = None) -> Callable[[dict[str, Any]], Reply]:
    """A provider that refuses requests with these members; after `then` calls it answers so."""
    bodies = {
        "messages": b'{"choices":[{"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":2}}',
    }
    calls = []

    def send(body: dict[str, Any]) -> Reply:
        calls.append(body)
        if then is not None and len(calls) > then[0]:
            return Reply(then[1], body=then[2])
        if refused & body.keys():
            return Reply(422, body=b"{}")
        return Reply(200, body=bodies["messages"])

    return send


def test_what_goes_together_is_one_call_and_apart_only_where_it_is_refused() -> None:
    everything = Abilities(CHAT, answering(set()))
    assert all(result.taken for result in everything.find())
    few = everything.calls
    assert everything.tokens == (few) * 5
    less = Abilities(CHAT, answering({"seed"}))
    assert [result.name for result in less.find() if not result.taken] == ["seed"]
    assert less.calls == few + 4


@rows(
    ("status_code", "body"),
    [(429, b"{}"), (503, b"{}"), (401, b"{}"), (None, b""), (200, b'{"choices": []}')],
)
def test_an_answer_that_says_nothing_of_what_was_tried_ends_it(status_code: int | None, body: bytes) -> None:
    for after in (0, 3):
        abilities = Abilities(CHAT, answering(set(), (after, status_code, body)))
        with pytest.raises(Undecided):
            list(abilities.find())
        assert abilities.calls == after + 1


def test_a_plain_call_that_is_refused_finds_nothing_out() -> None:
    for dialect in Dialect:
        refused = {"messages", "input"}
        with pytest.raises(Undecided, match="a plain call is refused"):
            list(Abilities(dialect, answering(refused)).find())


@pytest.mark.parametrize("dialect", [MESSAGES, RESPONSES])
def test_the_other_dialects_have_trials_of_their_own(
    dialect: Dialect, cli: Cli, server: ScriptedProvider, home: Path
) -> None:
    url = server.root if dialect is MESSAGES else server.url
    entry = f'[provider.mine]\nurl = "{url}"\ndialect = "{dialect}"\nkeys = ["env:MIMO_KEY"]\n'
    write(home / "holdfast.toml", entry)
    server.follow(refusing("temperature", "tool_choice"))
    assert cli("check", "mine/small", "--no-probe", "--caps", "--yes").exit_code == 0
    assert caps_in(home, dialect).items() >= {"temperature": False, "tool_choice": False}.items()


WRONG: list[tuple[str, str]] = [
    ("caps = 7", "must be a table"),
    ("caps = { chat = {} }", "must be one of openai-chat"),
    ("caps = { openai-chat = { tool = false } }", "did you mean 'tools'?"),
    ("caps = { openai-chat = { tools = 1 } }", "must be true or false"),
    ("caps = { openai-chat = { stop_limit = true } }", "must be a whole number"),
    ("caps = { openai-chat = { max_output = -1 } }", "must be a whole number"),
    ("caps = { openai-chat = { max_tokens = 'most' } }", "must be one of 'max_tokens'"),
    ("caps = { openai-chat = { web_search = 3 } }", "must be a string"),
    ("caps = { openai-chat = { efforts = ['much'] } }", "must be a list of none, minimal"),
    ("caps = { openai-chat = { input = 'text' } }", "must be a list of text, image"),
]


def test_caps_are_checked_and_kept_by_dialect(home: Path) -> None:
    entry = '[provider.mine]\nurl = "https://mine.example/v1"\n'
    for written, problem in WRONG:
        write(home / "holdfast.toml", f"{entry}{written}\n")
        with pytest.raises(ConfigError) as error:
            load(Home.at(home))
        assert problem in str(error.value), written
    right = 'caps = { openai-chat = { efforts = ["high", "low"], max_output = 5, input = ["text"] } }'
    write(home / "holdfast.toml", f"{entry}{right}\n")
    assert caps_in(home) == {"efforts": ("low", "high"), "max_output": 5, "input": ("text",)}
