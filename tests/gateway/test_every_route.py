"""Every route of the one table, by the makers' own SDKs, through the library and the gateway alike."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, status
from holdfast.fake_provider.keeper import Keeper
from holdfast.wire.api_routes import path_routes
from holdfast.wire.route_table import TABLE, is_one_path, routes_at
from tables import rows

from .conftest import Running, StartGateway, parse, request  # type: ignore[import-not-found]

KEY_A, KEY_B = "sk-aaaa-0123456789abcdef", "sk-bbbb-0123456789abcdef"
ASK: list[Any] = [{"role": "user", "content": "hi"}]
FACES = ["library", "gateway"]


@pytest.fixture
def keeper(provider: ScriptedProvider) -> Keeper:
    script = Keeper()
    provider.follow(script)
    return script


@pytest.fixture
def plane(gateway: StartGateway, provider: ScriptedProvider, keeper: Keeper) -> Iterator[Running]:
    """A gateway whose session `desk` is on a provider that speaks all dialects, has two keys and keeps what
    is made; and a second provider."""
    assert not keeper.kept
    with ScriptedProvider(Keeper()) as other:
        running = gateway(provider, other)
        running.holdfast.session("desk", "mine/scripted-1")
        provider.requests.clear()
        yield running


def openai_client(plane: Running, face: str, session: str = "desk", token: str = "") -> openai.OpenAI:
    if face == "library":
        return openai.OpenAI(**plane.holdfast.session(session).for_openai())
    url, http = f"{plane.root}/s/{session}/v1", openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=url, api_key=token or plane.token, http_client=http)


def anthropic_client(plane: Running, face: str) -> anthropic.Anthropic:
    if face == "library":
        return anthropic.Anthropic(**plane.holdfast.session("desk").for_anthropic())
    http = anthropic.DefaultHttpxClient(trust_env=False)
    return anthropic.Anthropic(base_url=f"{plane.root}/s/desk", api_key=plane.token, http_client=http)


def ask_everything_of_openai(client: openai.OpenAI) -> None:
    """Send a request on every route of OpenAI's API that is passed on."""
    chat, made = client.chat.completions, client.responses.create(model="scripted-1", input="hi").id
    stored = chat.create(model="scripted-1", messages=ASK, store=True).id
    chat.list()
    chat.retrieve(stored)
    chat.update(stored, metadata={"a": "b"})
    chat.messages.list(stored)
    chat.delete(stored)
    client.responses.retrieve(made)
    client.responses.input_items.list(made)
    client.responses.cancel(made)
    client.responses.delete(made)
    client.responses.compact(model="scripted-1", input="hi")
    client.responses.input_tokens.count(model="scripted-1", input="hi")
    file = client.files.create(file=("in.jsonl", b"{}\n"), purpose="batch").id
    client.files.list(limit=2)
    client.files.retrieve(file)
    assert client.files.content(file).content == b"{}\n"
    batch = client.batches.create(
        input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h"
    )
    client.batches.list()
    assert client.batches.retrieve(batch.id).output_file_id == batch.output_file_id
    assert client.files.content(batch.output_file_id or "").content == b"{}\n"
    client.batches.cancel(batch.id)
    upload = client.uploads.create(bytes=3, filename="f", mime_type="text/plain", purpose="batch").id
    client.uploads.parts.create(upload, data=b"abc")
    client.uploads.complete(upload, part_ids=["part_1"])
    client.uploads.cancel(upload)
    talk = client.conversations.create().id
    client.conversations.retrieve(talk)
    client.conversations.update(talk, metadata={"a": "b"})
    item: Any = {"type": "message", "role": "user", "content": "hi"}
    client.conversations.items.create(talk, items=[item])
    client.conversations.items.list(talk)
    client.conversations.items.retrieve("msg_1", conversation_id=talk)
    client.conversations.items.delete("msg_1", conversation_id=talk)
    client.conversations.delete(talk)
    ask_the_stores(client, file)
    client.files.delete(file)
    client.moderations.create(input="hi", model="moderates-1")
    client.completions.create(model="scripted-1", prompt="hi")
    client.embeddings.create(model="embeds-1", input="hi", encoding_format="float")
    client.images.generate(prompt="hi", model="paints-1")
    client.images.edit(image=b"png", prompt="hi", model="paints-1")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.images.create_variation(image=b"png", model="paints-1")
    assert client.audio.speech.create(input="hi", model="speaks-1", voice="alloy").content
    client.audio.transcriptions.create(file=b"wav", model="hears-1")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        client.audio.translations.create(file=b"wav", model="hears-1")
    client.post("/rerank", body={"model": "ranks-1", "query": "a", "documents": ["b"]}, cast_to=object)


def ask_the_stores(client: openai.OpenAI, file: str) -> None:
    stores, boxes = client.vector_stores, client.containers
    store = stores.create(name="s").id
    stores.list()
    stores.retrieve(store)
    stores.update(store, name="t")
    stores.search(store, query="q")
    stores.files.create(store, file_id=file)
    stores.files.list(store)
    stores.files.retrieve(file, vector_store_id=store)
    stores.files.update(file, vector_store_id=store, attributes={})
    stores.files.content(file, vector_store_id=store)
    stores.files.delete(file, vector_store_id=store)
    batch = "vsfb_1"
    stores.file_batches.create(store, file_ids=[file])
    stores.file_batches.retrieve(batch, vector_store_id=store)
    stores.file_batches.list_files(batch, vector_store_id=store)
    stores.file_batches.cancel(batch, vector_store_id=store)
    stores.delete(store)
    box = boxes.create(name="c").id
    boxes.list()
    boxes.retrieve(box)
    boxes.files.create(box, file=b"abc")
    boxes.files.list(box)
    boxes.files.retrieve("cfile_1", container_id=box)
    boxes.files.content.retrieve("cfile_1", container_id=box)
    boxes.files.delete("cfile_1", container_id=box)
    boxes.delete(box)


def ask_everything_of_anthropic(client: anthropic.Anthropic) -> None:
    """Send a request on every route of Anthropic's API that is passed on."""
    client.messages.create(model="scripted-1", max_tokens=9, messages=ASK)
    client.messages.count_tokens(model="scripted-1", messages=ASK)
    asked: Any = {"custom_id": "a", "params": {"model": "scripted-1", "max_tokens": 9, "messages": ASK}}
    batches, files = client.messages.batches, client.beta.files
    made = batches.create(requests=[asked]).id
    batches.list()
    batches.retrieve(made)
    assert [each.custom_id for each in batches.results(made)] == ["a"]
    batches.cancel(made)
    batches.delete(made)
    file = files.upload(file=("f.txt", b"abc", "text/plain")).id
    files.list()
    files.retrieve_metadata(file)
    assert files.download(file).read() == b"abc"
    files.delete(file)


def routes_seen(provider: ScriptedProvider) -> list[tuple[str, str, str | None]]:
    """Return method, route and key of the requests that arrived."""
    seen = []
    for each in provider.requests:
        listed = path_routes(each.path)
        assert listed is not None, each.path
        seen.append((each.method, f"/{listed.name}", each.key))
    return seen


def test_every_route_of_the_table_is_reached_by_both_faces_alike(
    plane: Running, provider: ScriptedProvider
) -> None:
    seen = {}
    for face in FACES:
        provider.requests.clear()
        with openai_client(plane, face) as client:
            ask_everything_of_openai(client)
        with anthropic_client(plane, face) as claude:
            ask_everything_of_anthropic(claude)
        seen[face] = routes_seen(provider)
    assert seen["library"] == seen["gateway"]
    assert {(row.method, row.path) for row in TABLE} == {each[:2] for each in seen["gateway"]}
    assert {each[2] for each in seen["gateway"]} == {KEY_A}


BAD_PATHS = [
    "/v1/files/..",
    "/v1/files/%2e%2e",
    "/v1/files/.%2E/x",
    "/v1/files/../../admin",
    "/v1/files/a%2fb",
    "/v1/files/a%2Fcontent",
    "/v1/files/a%5cb",
    "/v1/files/%252e%252e",
    "/v1/files//content",
    "/v1//files//x",
    "/v1/responses/./input_items",
    "/v1/responses/a/../b/cancel",
]


def test_a_path_that_could_be_read_as_another_one_goes_nowhere(
    plane: Running, provider: ScriptedProvider
) -> None:
    for path in BAD_PATHS:
        assert not is_one_path(path.removeprefix("/v1"))
        assert routes_at(path.removeprefix("/v1/").strip("/")) is None
        code, _, body = parse(plane.raw(request(path, b"", method="GET", connection="close")))
        answers = [(code, json.loads(body))]
        transport = plane.holdfast.session("desk").transport()
        url = httpx2.URL("http://holdfast.invalid/").copy_with(raw_path=path.encode())
        if url.raw_path == path.encode():  # what has dots, the client's own library puts straight
            with httpx2.Client(transport=transport) as client:
                library = client.get(url)
            answers.append((library.status_code, library.json()))
        for status_code, answer in answers:
            assert (status_code, answer["error"]["holdfast"]["class"]) == (404, "unknown_route"), path
    assert provider.requests == []


@rows("path", ["file-1", "file_1.txt", "b64==", "a~b:c@d,e+f", "vs_1-2", "a%2Db", "x" * 200])
def test_an_id_is_one_segment_as_it_was_written(path: str) -> None:
    listed = routes_at(f"files/{path}/content")
    assert listed is not None
    assert (listed.name, listed.id) == ("files/{id}/content", path.replace("%2D", "-"))


def test_what_the_query_of_a_route_shows_of_the_token_does_not_leave(
    plane: Running, provider: ScriptedProvider
) -> None:
    query = f"limit=2&key={plane.token}&after={plane.token}&order=asc"
    raw = request(f"/s/desk/v1/files?{query}", b"", method="GET", connection="close")
    assert parse(plane.raw(raw))[0] == 200
    assert provider.requests[0].path == "/v1/files?limit=2&order=asc"
    assert plane.token not in str(provider.requests[0].headers)


METHODS = [
    ("GET", "/v1/embeddings", "POST, OPTIONS"),
    ("PUT", "/v1/responses/resp_1", "GET, HEAD, DELETE, OPTIONS"),
    ("HEAD", "/v1/embeddings", "POST, OPTIONS"),
    ("DELETE", "/v1/messages/batches", "POST, GET, HEAD, OPTIONS"),
    ("GET", "/v1/responses/resp_1/cancel", "POST, OPTIONS"),
]


def test_a_method_that_a_route_does_not_have_is_refused_with_those_that_it_has(
    plane: Running, provider: ScriptedProvider
) -> None:
    for method, path, allowed in METHODS:
        code, headers, body = parse(plane.raw(request(path, b"", method=method, connection="close")))
        assert (code, headers["allow"]) == (405, allowed)
        assert method == "HEAD" or f"allows only {allowed}" in body.decode()
    asked = request("/v1/chat/completions", b"", method="GET", upgrade="websocket", connection="Upgrade")
    assert parse(plane.raw(asked))[0] == 426, "also where the route has a GET"
    assert provider.requests == []


def test_an_unknown_route_names_those_that_there_are(plane: Running) -> None:
    code, _, body = plane.post("assistants", {})
    error = json.loads(body)["error"]
    assert code == 404
    assert {f"/v1{row.path}" for row in TABLE} < set(error["holdfast"]["candidates"])
    assert "/v1/messages/batches" in error["message"]
    assert "{id}" not in error["message"]


LACKING = [
    ("moderations", {"input": "hi"}),
    ("rerank", {"model": "m", "query": "q", "documents": ["a"]}),
    ("responses/compact", {"model": "scripted-1", "input": "hi"}),
    ("embeddings", {"model": "scripted-1", "input": "hi"}),
    ("messages/count_tokens", {"model": "scripted-1", "messages": ASK}),
    ("conversations", {}),
    ("audio/speech", {"model": "m", "input": "x", "voice": "a"}),
]


def test_a_provider_that_lacks_a_route_is_not_blamed_for_its_address(
    plane: Running, provider: ScriptedProvider
) -> None:
    for body, passes in ((b"404 page not found", False), (b'{"detail":"Not Found"}', True)):
        provider.follow(status(404, body))
        for path, asked in LACKING:
            code, headers, answer = plane.post(path, asked, holdfast_session="desk")
            assert (code, headers["holdfast-fault"], headers["holdfast-attempts"]) == (
                404,
                "bad_request",
                "1",
            )
            if passes and answer == body:
                continue
            assert "has nothing at this path" in json.loads(answer)["error"]["message"], path
            assert "holdfast session pin desk PROVIDER/MODEL" in answer.decode()
    provider.follow(status(404, b"404 page not found"))
    asked = {"model": "scripted-1", "messages": ASK}
    assert plane.post("chat/completions", asked, holdfast_session="desk")[1]["holdfast-fault"] == (
        "endpoint_mismatch"
    )


def test_a_request_without_a_body_gives_no_length_and_an_answer_without_one_ends(
    plane: Running, provider: ScriptedProvider
) -> None:
    provider.follow(status(204, b""))
    with plane.connect() as sock:
        for _ in range(2):  # the second on the same connection
            sock.sendall(
                request("/s/desk/v1/files/f", b"", method="DELETE", content_length="", content_type="")
            )
            answer = sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 204 ")
            assert b"transfer-encoding" not in answer
            assert answer.endswith(b"\r\n\r\n")
    assert not {"content-length", "content-type"} & provider.requests[0].headers.keys()


def test_bytes_come_back_as_they_are(plane: Running, provider: ScriptedProvider) -> None:
    sound = bytes(range(256)) * 4096
    provider.follow(status(200, sound, {"content-type": "audio/mpeg", "content-disposition": "attachment"}))
    for face in FACES:
        with openai_client(plane, face) as client:
            got = client.audio.speech.create(input="hi", model="speaks-1", voice="alloy")
            assert (got.content, got.response.headers["content-type"]) == (sound, "audio/mpeg")
            assert client.files.content("file-1").response.headers["content-disposition"] == "attachment"


def test_the_results_of_a_batch_are_fetched_through_the_gateway_also_from_a_compressed_description(
    plane: Running, provider: ScriptedProvider
) -> None:
    url = "https://api.example.com/v1/messages/batches/msgbatch_1/results"
    batch = json.dumps({"id": "msgbatch_1", "processing_status": "ended", "results_url": url}).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    def answer(seen: SeenRequest) -> Behaviour:
        if seen.path.endswith("/results"):
            return status(200, b'{"custom_id": "a", "result": {"type": "canceled"}}\n')
        return status(200, gzip.compress(batch), headers)

    provider.follow(answer)
    with anthropic_client(plane, "gateway") as client:
        assert client.messages.batches.retrieve("msgbatch_1").results_url == url.partition("example.com")[2]
        assert [each.custom_id for each in client.messages.batches.results("msgbatch_1")] == ["a"]


def test_a_model_that_does_not_talk_is_refused_with_a_strict_pin_and_asked_for_without(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict="mine/scripted-1")
    plane.holdfast.session("desk", "mine/scripted-1")
    packed = gzip.compress(b'{"model":"paints-1","prompt":"hi"}')
    for body, more in ((b'{"model":"paints-1"}', {}), (packed, {"content_encoding": "gzip"})):
        code, _, answer = plane.post("images/generations", body, holdfast_session="desk", **more)
        assert (code, json.loads(answer)["error"]["code"]) == (409, "pin_mismatch")
    form = {"content_type": "multipart/form-data; boundary=b"}
    assert plane.post("audio/transcriptions", b"--b--", holdfast_session="desk", **form)[0] == 415
    assert provider.requests == []
