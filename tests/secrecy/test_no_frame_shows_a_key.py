"""No frame of a failed call holds the key: not of the error, not of what caused it, however deep one looks.

Crash reporters, rich's `show_locals` and `pytest -l` print the variables of every frame.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import anthropic
import httpx
import httpx2
import openai
import pytest

from gateway.raw_provider import After, RawProvider, Said, chunked, delta, head, raw_provider, sized
from holdfast.calls.api_calls import check_call, list_models
from holdfast.calls.token_endpoint import post_form
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.credentials import Vault
from holdfast.sdk import api
from holdfast.sdk import transport as sdk_transport
from holdfast.values.secret import Secret
from holdfast.wire.request_body import RequestInfo
from holdfast.wire.request_head import PreparedHead
from secrecy.deep import holders

CANARY = "CANARYCANARY0123456789"
KEY = f"sk-proj-{CANARY}"
MINE = Key(ProviderName("mine"), "a", "env:MINE_KEY")
CONNECTION = Connection(
    Provider(MINE.provider, (Endpoint("http://127.0.0.1:9/v1", Dialect.OPENAI_CHAT),), (MINE,)),
    Dialect.OPENAI_CHAT,
    MINE,
    "m",
)
QUICK = 0.1
"""Seconds after which a client gives up."""


def answers(status: int) -> bytes:
    body = b'{"error": {"message": "no", "type": "x", "code": "x"}}'
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


class Failure(NamedTuple):
    """How a call fails: what the provider says, and the scheme and the port at which it is called."""

    answer: Said = Said([sized(b"{}")])
    scheme: str = "http"
    listens: bool = True
    key: str | None = KEY
    prompt: str = "hello"
    stream: bool = False


FAILURES = {
    "refused": Failure(listens=False),
    "no TLS": Failure(scheme="https"),
    "no HTTP": Failure(Said([b"\x00\x01 no HTTP\r\n\r\n"], After.CLOSE)),
    "no answer": Failure(Said([], After.CLOSE)),
    "reset": Failure(Said([], After.RESET)),
    "reset in a long request": Failure(Said([b"HTTP/1.1 "], After.RESET), prompt="x" * 3_000_000),
    "head cut": Failure(Said([b"HTTP/1.1 200 OK\r\nconte"], After.CLOSE)),
    "body cut": Failure(Said([head("content-length: 10", kind="application/json") + b"abc"], After.CLOSE)),
    "timeout": Failure(Said([], After.HANG)),
    "timeout in a body": Failure(
        Said([head("content-length: 10", kind="application/json") + b"abc"], After.HANG)
    ),
    "stream cut": Failure(Said([chunked(delta("a"), last=b"")], After.CLOSE), stream=True),
    "stream reset": Failure(Said([chunked(delta("a"), last=b"")], After.RESET), stream=True),
    "stream hangs": Failure(Said([chunked(delta("a"), last=b"")], After.HANG), stream=True),
    "no variable": Failure(key=None),
    "no key in the variable": Failure(key=f"{KEY}\n{KEY}"),
    **{f"status {code}": Failure(Said([answers(code)])) for code in (401, 404, 429, 500)},
}


def body_of(failure: Failure) -> dict[str, Any]:
    messages = [{"role": "user", "content": failure.prompt}]
    return {"model": "m", "messages": messages, "stream": failure.stream}


def by_openai(session: api.Session, failure: Failure) -> None:
    with openai.OpenAI(**session.for_openai(), timeout=QUICK) as client:
        answer: Any = client.chat.completions.create(**body_of(failure))
        list(answer if failure.stream else ())


def by_anthropic(session: api.Session, failure: Failure) -> None:
    with anthropic.Anthropic(**session.for_anthropic(), timeout=QUICK) as client:
        answer: Any = client.messages.create(max_tokens=9, **body_of(failure))
        list(answer if failure.stream else ())


def by_httpx(session: api.Session, failure: Failure) -> None:
    with httpx.Client(
        transport=session.transport(httpx), timeout=QUICK, base_url="http://h.invalid"
    ) as client:
        client.post("/v1/chat/completions", json=body_of(failure)).raise_for_status()


async def by_openai_async(session: api.Session, failure: Failure) -> None:
    async with openai.AsyncOpenAI(**session.for_openai_async(), timeout=QUICK) as client:
        answer: Any = await client.chat.completions.create(**body_of(failure))
        if failure.stream:
            [event async for event in answer]


async def by_httpx_async(session: api.Session, failure: Failure) -> None:
    transport = session.async_transport(httpx)
    async with httpx.AsyncClient(transport=transport, timeout=QUICK, base_url="http://h.invalid") as client:
        (await client.post("/v1/chat/completions", json=body_of(failure))).raise_for_status()


ERRORS = (openai.APIError, anthropic.APIError, httpx.HTTPError)
CALLERS: dict[str, Callable[[api.Session, Failure], Any]] = {
    "openai": by_openai,
    "anthropic": by_anthropic,
    "httpx": by_httpx,
    "openai async": lambda session, failure: asyncio.run(by_openai_async(session, failure)),
    "httpx async": lambda session, failure: asyncio.run(by_httpx_async(session, failure)),
}


@pytest.fixture
def provider() -> Iterator[RawProvider]:
    with raw_provider() as opened:
        opened.before_reset = 0.01
        yield opened


@pytest.fixture
def session_for(
    home: Path, provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Failure], api.Session]]:
    opened: list[Any] = []

    async def no_wait(seconds: float, sleep: object) -> None: ...

    monkeypatch.setattr(sdk_transport, "time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(sdk_transport, "let_pass", no_wait)

    def make(failure: Failure) -> api.Session:
        if failure.key is not None:
            monkeypatch.setenv("MINE_KEY", failure.key)
        root = provider.root
        if not failure.listens:
            with socket.create_server(("127.0.0.1", 0)) as free:
                root = f"http://127.0.0.1:{free.getsockname()[1]}"
        root = root.replace("http", failure.scheme)
        urls = f'openai-chat = "{root}/v1", anthropic-messages = "{root}"'
        (home / "holdfast.toml").write_text(
            f'[provider.mine]\nendpoints = {{ {urls} }}\nmodels = ["m"]\nkeys = ["env:MINE_KEY"]\n'
        )
        opened.append(api.open(home))
        return opened[-1].session("s1", "mine/m")

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    ("caller", "failure"),
    [
        pytest.param(caller, failure, id=f"{caller}-{name}")
        for caller in CALLERS
        for name, failure in FAILURES.items()
        if caller != "anthropic" or name in ("reset", "body cut", "status 401")
    ],
)
def test_no_frame_of_a_failed_call_holds_the_key(
    caller: str, failure: Failure, provider: RawProvider, session_for: Callable[[Failure], api.Session]
) -> None:
    provider.answer = lambda body: failure.answer
    with pytest.raises(ERRORS) as caught:
        CALLERS[caller](session_for(failure), failure)
    assert holders(caught.value, CANARY, __file__) == set()


def test_no_frame_of_a_cancelled_call_holds_the_key(
    provider: RawProvider, session_for: Callable[[Failure], api.Session]
) -> None:
    heard = threading.Event()

    def hangs(body: bytes) -> Said:
        heard.set()
        return Said([], After.HANG)

    provider.answer = hangs
    session = session_for(FAILURES["timeout"])

    async def cancelled() -> None:
        async with openai.AsyncOpenAI(**session.for_openai_async()) as client:
            call = asyncio.create_task(client.chat.completions.create(**body_of(Failure())))
            await asyncio.to_thread(heard.wait, 5)
            call.cancel()
            await call

    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(cancelled())
    assert holders(caught.value, CANARY, __file__) == set()


class Failing:
    """A connection that fails while a request is written to it."""

    def write(self, data: bytes) -> None:
        shown = bytes(data)
        raise RuntimeError(f"cannot write {len(shown)} bytes")

    def writelines(self, list_of_data: list[bytes | memoryview]) -> None:
        self.write(b"".join(list_of_data))


@pytest.mark.parametrize("size", [10, 100_000], ids=["short", "long"])
def test_no_frame_of_a_failed_write_of_the_gateway_holds_the_key(size: int) -> None:
    prepared = PreparedHead(CONNECTION, Secret(KEY), False, path="/v1/chat/completions", lines=[])
    outbound = prepared.with_body(b"{%b}" % (b" " * size), RequestInfo(model="m"))
    with pytest.raises(RuntimeError, match="cannot write") as caught:
        outbound.write_to(Failing())
    assert holders(caught.value, CANARY, "no file") == set()


def test_no_frame_of_an_interrupted_call_of_our_own_holds_the_key() -> None:
    def interrupted(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        raise KeyboardInterrupt

    client = httpx2.Client(transport=httpx2.MockTransport(interrupted))
    for call in (check_call, list_models):
        with pytest.raises(KeyboardInterrupt) as caught:
            call(CONNECTION, Secret(KEY), client)
        assert holders(caught.value, CANARY, __file__) == set()


def test_no_frame_of_an_interrupted_renewal_holds_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object, method: str, url: str, content: bytes, **more: object) -> object:
        assert KEY.encode() in content
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx2.Client, "stream", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        post_form("http://127.0.0.1:9/token", {"refresh_token": Secret(KEY)})
    assert holders(caught.value, CANARY, __file__) == set()


def test_no_frame_of_an_interrupted_key_command_holds_the_key(tmp_path: Path) -> None:
    def interrupted(argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
        printed = KEY.encode()
        raise KeyboardInterrupt(len(printed))

    vault = Vault(tmp_path / "secrets.toml", run=interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        vault.secret(Key(ProviderName("mine"), "a", "cmd:print-key"))
    assert holders(caught.value, CANARY, __file__) == set()


def test_the_search_finds_a_key_in_a_header_of_a_request() -> None:
    """What is looked for is found: a client that is given the key itself shows it."""

    def call() -> None:
        with httpx2.Client(transport=httpx2.MockTransport(refuse)) as client:
            client.get("http://h.invalid", headers={"authorization": f"Bearer {KEY}"})

    def refuse(request: Any) -> Any:
        raise httpx2.ConnectError("refused")

    with pytest.raises(httpx2.ConnectError) as caught:
        call()
    assert any("request" in holder for holder in holders(caught.value, CANARY, __file__))
