"""What a limited token names in a body has been made by its own session, or by none that is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.fake_provider import ScriptedProvider, status
from holdfast.gateway.account_relay import without_host

from .conftest import BOUND, Running, parse, request  # type: ignore[import-not-found]
from .test_every_route import keeper, openai_client, plane  # type: ignore[import-not-found]
from .test_what_accounts_keep import restarted  # type: ignore[import-not-found]

__all__ = ["keeper", "plane"]


def test_a_token_of_one_session_asks_no_model_about_what_another_session_made(
    plane: Running, provider: ScriptedProvider
) -> None:
    plane.holdfast.session("theirs", "mine/scripted-1")
    with openai_client(plane, "gateway", "theirs", BOUND) as mine, openai_client(plane, "gateway") as desk:
        own, foreign = (who.responses.create(model="scripted-1", input="hi").id for who in (mine, desk))
        talk = desk.conversations.create().id
    with openai_client(plane, "gateway", "theirs") as desk:
        store = desk.vector_stores.create().id
    restarted(plane)
    many = [{"type": "item_reference", "id": own}] * 10
    asked: dict[str, list[Any]] = {
        f"vector_stores/{store}/files": [{"file_id": talk}],
        "responses": [
            {"previous_response_id": foreign},
            {"conversation": {"id": talk}},
            {"input": [{"type": "item_reference", "id": foreign}, *many]},
            {"tools": [{"type": "file_search", "vector_store_ids": [own, talk]}]},
            {"input": [{"type": "item_reference", "id": f"resp_{number}"} for number in range(300, 600)]},
        ],
    }
    provider.requests.clear()
    bearer = {"authorization": f"Bearer {BOUND}"}
    for route, bodies in asked.items():
        for body in bodies:
            text = json.dumps({"model": "scripted-1", **body})
            for written in (text, text.replace("_id", "\\u005fid")):
                assert plane.post(route, written.encode(), **bearer)[0] == 403, written
    assert provider.requests == []
    for _ in range(2):
        body = {"model": "scripted-1", "input": many, "previous_response_id": own}
        assert plane.post("responses", body, **bearer)[0] == 200


@pytest.mark.parametrize(
    ("written", "passed"),
    [
        ("https://api.example/v1/messages/batches/b/results", "/v1/messages/batches/b/results"),
        ("https:\\/\\/api.example\\/v1\\/messages\\/batches\\/b\\/results", "/v1/messages/batches/b/results"),
        ("/v1/messages/batches/b/results", "/v1/messages/batches/b/results"),
        ("https://cdn.example/results/b", None),
        ("//cdn.example/x?/v1/messages/batches/b/results#", None),
        ('https://cdn.example/\\"/results', None),
    ],
)
def test_no_description_of_a_batch_sends_a_token_to_another_host(written: str, passed: str | None) -> None:
    for space in ("", " "):
        text = f'{{"id":{space}"b","results_url":{space}"{written}","type":"message_batch"}}'
        expected = {"id": "b", "results_url": passed, "type": "message_batch"}
        assert json.loads(without_host(text.encode())) == expected
    assert without_host(b'{"results_url": null}') == b'{"results_url": null}'


def test_the_results_of_a_batch_are_passed_on_as_they_are(plane: Running, provider: ScriptedProvider) -> None:
    line = b'{"custom_id":"a","result":{"content":[{"input":{"results_url":"https://a.example/"}}]}}\n'
    provider.follow(lambda _: status(200, line, {"content-type": "application/x-jsonl"}))
    asked = request("/s/desk/v1/messages/batches/b/results", b"", method="GET", connection="close")
    assert parse(plane.raw(asked))[2] == line
