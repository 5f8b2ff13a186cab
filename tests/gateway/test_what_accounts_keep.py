"""What an account keeps belongs to the key that made it: it is asked for with that key, or refused with a
sentence that names it, and never with another account's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from holdfast.core.identity import Pin
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, only_keys, status
from holdfast.fake_provider.keeper import Keeper
from holdfast.store.token import Token

from .conftest import BOUND, Running, StartGateway, entry, parse, request  # type: ignore[import-not-found]
from .test_every_route import (  # type: ignore[import-not-found]
    ASK,
    FACES,
    KEY_A,
    KEY_B,
    anthropic_client,
    keeper,
    openai_client,
    plane,
)

__all__ = ["keeper", "plane"]
MULTIPART = "multipart/form-data; boundary=b"


def make_everything(client: openai.OpenAI) -> dict[str, Callable[[openai.OpenAI], Any]]:
    """Make one object of each kind. Return how each is asked for."""
    chat: Any = client.chat.completions
    response = client.responses.create(model="scripted-1", input="hi").id
    stored = chat.create(model="scripted-1", messages=ASK, store=True).id
    streamed = next(iter([*chat.create(model="scripted-1", messages=ASK, store=True, stream=True)])).id
    file = client.files.create(file=("in.jsonl", b"{}"), purpose="batch").id
    batch = client.batches.create(
        input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
    )
    talk, store = client.conversations.create().id, client.vector_stores.create().id
    output = batch.output_file_id or ""
    return {
        "response": lambda who: who.responses.retrieve(response),
        "stored chat": lambda who: who.chat.completions.retrieve(stored),
        "streamed chat": lambda who: who.chat.completions.retrieve(streamed),
        "file": lambda who: who.files.content(file),
        "file of a batch": lambda who: who.files.content(output),
        "batch": lambda who: who.batches.retrieve(batch.id),
        "file in a body": lambda who: who.batches.create(
            input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
        ),
        "conversation": lambda who: who.conversations.items.list(talk),
        "vector store": lambda who: who.vector_stores.search(store, query="q"),
    }


def restarted(plane: Running) -> None:
    """Forget what only the memory of the process knows."""
    plane.holdfast.engine.journal_writer.flush()
    plane.holdfast.engine.objects._made.clear()


@pytest.mark.parametrize("face", FACES)
def test_what_a_key_made_is_asked_for_with_that_key_also_in_another_session_and_after_a_restart(
    face: str, plane: Running, provider: ScriptedProvider
) -> None:
    plane.holdfast.session("side", "mine/scripted-1", key="KEY_B")
    with openai_client(plane, face) as client, openai_client(plane, face, "side") as side:
        client.responses.create(model="scripted-1", input="hi")
        ways = make_everything(side)
        for _ in range(2):
            for name, ask in ways.items():
                provider.requests.clear()
                ask(client)
                assert [seen.key for seen in provider.requests] == [KEY_B], name
            restarted(plane)
        client.responses.create(model="scripted-1", input="hi")
        assert provider.requests[-1].key == KEY_A, "what it was about did not move the session"


@pytest.mark.parametrize("face", FACES)
def test_what_another_account_made_is_refused_with_a_sentence_that_names_it(
    face: str, plane: Running, provider: ScriptedProvider
) -> None:
    hf = plane.holdfast
    hf.session("side", "mine/scripted-1", key="KEY_B")
    hf.session("chosen", "mine/scripted-1", key="KEY_A")
    hf.session("elsewhere", "other/scripted-1")
    with openai_client(plane, face, "side") as side:
        ways = make_everything(side)
    provider.requests.clear()
    for session, says, command in (
        ("chosen", "and session 'chosen' uses another key", "session pin chosen mine/scripted-1 --key KEY_B"),
        ("elsewhere", "'elsewhere' is on 'other/scripted-1'", "session pin elsewhere mine/MODEL"),
    ):
        with openai_client(plane, face, session) as client:
            for ask in ways.values():
                with pytest.raises(openai.ConflictError) as refused:
                    ask(client)
                text = str(refused.value)
                assert "belongs to key 'KEY_B' of provider 'mine'" in text
                assert says in text
                assert command in text
    assert provider.requests == []


@pytest.mark.parametrize("face", FACES)
def test_what_a_key_made_that_is_gone_is_refused_and_what_one_made_under_another_name_is_not(
    face: str, plane: Running, provider: ScriptedProvider
) -> None:
    plane.holdfast.session("side", "mine/scripted-1", key="KEY_B")
    with openai_client(plane, face, "side") as side:
        file = side.files.create(file=("f", b"x"), purpose="batch").id
    restarted(plane)
    config = plane.home / "holdfast.toml"
    whole = config.read_text("utf-8")
    provider.requests.clear()
    config.write_text(whole.replace(', "env:KEY_B"', "", 1), "utf-8")
    plane.holdfast.engine.look_again()
    with (
        openai_client(plane, face) as client,
        pytest.raises(openai.ConflictError, match="does not have any more"),
    ):
        client.files.retrieve(file)
    assert provider.requests == []
    config.write_text(entry("named", provider), "utf-8")
    plane.holdfast.engine.look_again()
    plane.holdfast.session("fresh", "named/scripted-1")
    with openai_client(plane, face, "fresh") as client:
        client.files.retrieve(file)
    assert [seen.key for seen in provider.requests] == [KEY_B], "by the key's value"


@pytest.mark.parametrize("face", FACES)
def test_only_what_leaves_nothing_behind_is_sent_again_and_only_what_is_kept_stays_at_its_account(
    face: str, plane: Running, provider: ScriptedProvider
) -> None:
    provider.follow(only_keys([KEY_B], status(200, {"id": "modr-1", "results": [], "model": "m"})))
    with openai_client(plane, face) as client:
        client.moderations.create(input="hi")
        assert [seen.key for seen in provider.requests] == [KEY_A, KEY_B], "any account answers alike"
        for ask in (client.files.list, lambda: client.files.retrieve("file-1")):
            provider.requests.clear()
            with pytest.raises(openai.AuthenticationError):
                ask()
            assert {seen.key for seen in provider.requests} == {KEY_A}
        provider.requests.clear()
        with pytest.raises(openai.AuthenticationError):
            client.files.create(file=("f", b"x"), purpose="batch")
        assert len(provider.requests) == 1
        assert plane.holdfast.engine.store.cooldowns() == []


@pytest.mark.parametrize("face", FACES)
def test_a_list_that_fails_for_a_moment_is_asked_for_again(
    face: str, plane: Running, provider: ScriptedProvider, keeper: Keeper
) -> None:
    answers = iter([status(500)])

    def script(seen: SeenRequest) -> Behaviour:
        return next(answers, None) or keeper(seen)

    provider.follow(script)
    with openai_client(plane, face).with_options(max_retries=0) as client:
        client.files.list()
        assert [seen.key for seen in provider.requests] == [KEY_A, KEY_A]
        provider.follow(status(500))
        provider.requests.clear()
        with pytest.raises(openai.InternalServerError):
            client.files.delete("file-1")
    assert len(provider.requests) == 1


CHAT_ONLY = '[provider.mine]\nmodels = ["m"]\nkeys = ["env:KEY_A"]\nurl = "{url}"\ndialect = "{dialect}"\n'


@pytest.mark.parametrize("face", FACES)
def test_of_a_translated_session_nothing_is_kept_so_nothing_is_sent_for_it(
    face: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=CHAT_ONLY.format(url=provider.url, dialect="openai-chat"))
    plane.holdfast.session("desk", "mine/m")
    with openai_client(plane, face) as client, anthropic_client(plane, face) as claude:
        made = client.responses.create(model="m", input="hi").id
        provider.requests.clear()
        for ask in (
            lambda: client.responses.retrieve(made),
            lambda: client.responses.cancel(made),
            client.conversations.create,
            claude.messages.batches.list,
            claude.beta.files.list,
        ):
            with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as refused:
                ask()
            body: Any = refused.value.body
            error = body.get("error", body)["holdfast"]
            assert error["class"] == "untranslatable"
            assert error["next_step"].startswith("holdfast provider ")
            assert "it speaks openai-chat" in str(refused.value)
        assert provider.requests == []
        client.files.list()
    assert [seen.path for seen in provider.requests] == ["/v1/files"]


@pytest.mark.parametrize("face", FACES)
def test_files_are_found_at_an_endpoint_of_either_dialect_of_openai(
    face: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=CHAT_ONLY.format(url=provider.url, dialect="openai-responses"))
    provider.follow(Keeper())
    plane.holdfast.session("desk", "mine/m")
    with openai_client(plane, face) as client:
        file = client.files.create(file=("f", b"x"), purpose="batch").id
        client.files.retrieve(file)
        with pytest.raises(openai.BadRequestError, match="is kept nowhere"):
            client.chat.completions.list()
    assert [(seen.method, seen.key) for seen in provider.requests] == [("POST", KEY_A), ("GET", KEY_A)]


def test_a_token_of_one_session_sees_what_this_session_made_and_nothing_else(
    plane: Running, provider: ScriptedProvider
) -> None:
    hf = plane.holdfast
    hf.session("theirs", "mine/scripted-1")
    plane.books.tokens[b"hf-pinned-0123456789"] = Token(
        "3", "", "pinned", pins=(Pin.parse("mine/scripted-1"),)
    )
    with openai_client(plane, "gateway", "theirs", BOUND) as mine, openai_client(plane, "gateway") as desk:
        own = mine.responses.create(model="scripted-1", input="hi").id
        restarted(plane)
        mine.responses.retrieve(own)
        mine.responses.cancel(own)
        foreign = make_everything(desk)
        provider.requests.clear()
        for ask in [*foreign.values(), lambda who: who.files.list(), lambda who: who.batches.list()]:
            with pytest.raises(openai.PermissionDeniedError, match="this token is limited"):
                ask(mine)
    pinned = request(
        "/s/desk/v1/batches", b"{}", authorization="Bearer hf-pinned-0123456789", connection="close"
    )
    assert parse(plane.raw(pinned))[0] == 403
    upload = request(
        "files", b"--b--", authorization=f"Bearer {BOUND}", content_type=MULTIPART, connection="close"
    )
    assert parse(plane.raw(upload))[0] in (403, 415)
    assert provider.requests == []


def test_a_request_of_a_new_session_that_names_no_model_begins_no_session_by_a_guess(plane: Running) -> None:
    asked = request("/s/fresh/v1/files", b"", method="GET", connection="close")
    code, _, body = parse(plane.raw(asked))
    assert (code, json.loads(body)["error"]["code"]) == (400, "model_ambiguous")
    with httpx2.Client(transport=plane.holdfast.session("desk").transport()) as client:
        assert client.get("http://holdfast.invalid/v1/files").status_code == 200


def test_head_is_answered_like_get_without_the_body(plane: Running, provider: ScriptedProvider) -> None:
    """The provider is asked with GET, whose answer tells what the headers are; also where it comes in
    pieces."""
    with openai_client(plane, "gateway") as client:
        response = client.responses.create(model="scripted-1", input="hi").id
        file = client.files.create(file=("in.jsonl", b"{}" * 40_000), purpose="batch").id
    with httpx2.Client(
        base_url=f"{plane.root}/s/desk/v1", headers={"authorization": f"Bearer {plane.token}"}
    ) as client:
        for path in (f"responses/{response}", f"files/{file}/content", "files", "files/no-such-file"):
            provider.requests.clear()
            head, get, again = (client.request(method, path) for method in ("HEAD", "GET", "HEAD"))
            assert [seen.method for seen in provider.requests] == ["GET"] * 3
            assert (head.status_code, head.content, bool(get.content)) == (get.status_code, b"", True)
            assert head.headers.keys() == get.headers.keys() == again.headers.keys()
