"""The limits of time that the user sets hold in the gateway, also for one that runs."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Iterable
from itertools import chain, repeat

import pytest

from holdfast.core.config import Config, GatewaySettings, Limits
from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, stall

from .conftest import StartGateway, parse, read_all, request  # type: ignore[import-not-found]
from .raw_provider import RawProvider, Said, chunk, completion, delta, head, raw_provider, sized  # type: ignore[import-not-found]
from .served import eventually, write_config  # type: ignore[import-not-found]

ASK = {"model": "mine/m", "messages": []}


def config(provider: ScriptedProvider, settings: str) -> str:
    return f'[provider.mine]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n{settings}'


@pytest.mark.parametrize(
    ("settings", "gateway", "bounds"),
    [
        (Limits(), GatewaySettings(), Bounds()),
        (
            Limits(connect_timeout=1.0, answer_timeout=2.0, stall_timeout=3.0),
            GatewaySettings(comment_after=4.0),
            Bounds(connect=1.0, answer=2.0, stall=3.0, comment=4.0),
        ),
        (Limits(), GatewaySettings(comment_after=0.0), Bounds(comment=math.inf)),
    ],
)
def test_the_users_limits_replace_those_of_the_gateway(
    settings: Limits, gateway: GatewaySettings, bounds: Bounds
) -> None:
    assert Bounds().set_by(Config(settings=settings, gateway=gateway)) == bounds


def test_a_provider_is_given_up_when_the_user_says_so_also_in_a_running_gateway(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    provider.follow(stall())
    lines = (
        '[settings]\nanswer_timeout = "100ms"\nstall_timeout = 0.2\nconnect_timeout = 3\nwait_budget = 0\n'
    )
    running = gateway(config=config(provider, lines))
    code, headers, body = running.post("chat/completions", ASK)
    assert (code, headers["holdfast-fault"]) == (504, "transient")
    assert b"no answer within 0.1 s" in body
    assert running.plane.upstreams.to(provider.root).limits.connect == 3.0
    changed = lines.replace("100ms", "40s").replace("= 3", "= 4") + "[gateway]\ncomment_after = 0\n"
    write_config(running.home, config(provider, changed))
    eventually(lambda: running.plane.bounds.answer == 40.0)
    assert running.plane.bounds.comment == math.inf
    assert running.plane.upstreams.to(provider.root).limits.connect == 4.0


STREAM = ASK | {"stream": True}
EVENTS = head("transfer-encoding: chunked")
DRIPS: dict[str, tuple[bytes, Iterable[bytes]]] = {
    "the head": (b"HTTP/1.1 200 OK\r\n", repeat(b"x-a: b\r\n")),
    "interim heads": (b"", chain([b"HTTP/1.1 102 Processing\r\n\r\n"] * 9, repeat(b""))),
    "white space before an answer": (head("content-length: 100000", kind="application/json"), repeat(b" ")),
    "an answer": (head("content-length: 100000", kind="application/json") + b'{"id":"', repeat(b"a")),
    "an error": (b"HTTP/1.1 500 X\r\ncontent-length: 100000\r\n\r\n", repeat(b"a")),
    "comments before the output": (EVENTS, repeat(chunk(b": waiting\n\n"))),
    "blank lines before the output": (EVENTS, repeat(chunk(b"\n"))),
    "half an event before the output": (EVENTS + chunk(b"data: {"), repeat(chunk(b" "))),
    "comments after the output": (EVENTS + chunk(delta("a")), repeat(chunk(b": waiting\n\n"))),
    "blank lines after the output": (EVENTS + chunk(delta("a")), repeat(chunk(b"\n\n"))),
    "half an event after the output": (EVENTS + chunk(delta("a") + b"data: {"), repeat(chunk(b"x"))),
}
DRIPPED = Bounds(look_every=0.02, answer=0.3, stall=0.2, comment=math.inf)
RAW = '[provider.mine]\nurl = "{url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n[settings]\nwait_budget = 0\n'


def dripping(provider: RawProvider, first: bytes, drops: Iterable[bytes]) -> None:
    """Let the provider say `first`, then a drop each 5 milliseconds."""

    def said() -> Iterable[bytes]:
        yield first
        for drop in drops:
            if provider.over.is_set():
                return
            yield drop

    provider.answer = lambda _: Said(said())


@pytest.mark.parametrize("drip", DRIPS)
def test_a_provider_that_drips_is_given_up_all_the_same(gateway: StartGateway, drip: str) -> None:
    with raw_provider() as provider:
        dripping(provider, *DRIPS[drip])
        running = gateway(config=RAW.format(url=provider.url), bounds=DRIPPED)
        asked = STREAM if DRIPS[drip][0].startswith(EVENTS) else ASK
        began = time.monotonic()
        answer = running.raw(request("chat/completions", json.dumps(asked).encode(), connection="close"))
        assert time.monotonic() - began < 4
        assert b"[DONE]" not in answer
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 502", b"HTTP/1.1 503", b"HTTP/1.1 504"))
        assert running.done[0].outcome is not None


def test_signs_of_life_give_a_provider_the_time_of_an_answer(gateway: StartGateway) -> None:
    comments = [chunk(b": OPENROUTER PROCESSING\n\n")] * 60
    rest = [chunk(delta("a", "stop") + b"data: [DONE]\n\n"), b"0\r\n\r\n"]
    blank = [b"\n"] * 60
    whole = completion()
    with raw_provider() as provider:
        running = gateway(
            config=RAW.format(url=provider.url), bounds=Bounds(look_every=0.02, answer=20.0, stall=0.2)
        )
        dripping(provider, EVENTS, [*comments, *rest])
        assert running.post("chat/completions", STREAM)[2].endswith(b"[DONE]\n\n")
        dripping(provider, EVENTS + chunk(delta("a")), [*comments, *rest])
        assert running.post("chat/completions", STREAM)[2].endswith(b"[DONE]\n\n")
        dripping(
            provider,
            sized(whole)[: -len(whole)].replace(b": %d" % len(whole), b": %d" % (len(whole) + 60)),
            [*blank, whole],
        )
        assert json.loads(running.post("chat/completions", ASK)[2]) == json.loads(whole)


def test_events_that_come_slowly_go_on_for_as_long_as_they_come(gateway: StartGateway) -> None:
    events = [chunk(delta("a"))] * 150
    rest = [chunk(delta("a", "stop") + b"data: [DONE]\n\n"), b"0\r\n\r\n"]
    with raw_provider() as provider:
        dripping(provider, EVENTS, [*events, *rest])
        running = gateway(config=RAW.format(url=provider.url), bounds=DRIPPED)
        assert running.post("chat/completions", STREAM)[2].endswith(b"[DONE]\n\n")


@pytest.mark.parametrize("framing", ["content-length: 100000", "transfer-encoding: chunked"])
def test_a_client_that_drips_its_body_is_given_up(
    gateway: StartGateway, provider: ScriptedProvider, framing: str
) -> None:
    running = gateway(provider, bounds=Bounds(look_every=0.02, body=0.2))
    asked = request("chat/completions", b"").replace(b"content-length: 0", framing.encode())
    began = time.monotonic()
    with running.connect() as sock:
        sock.sendall(asked)
        drop = b"1\r\n \r\n" if "chunked" in framing else b" "
        assert parse(drip_until_answered(sock, drop))[0] == 408
    assert 0.1 < time.monotonic() - began < 4


def test_a_client_that_sends_at_a_fair_pace_has_all_the_time_it_needs(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    running = gateway(provider, bounds=Bounds(look_every=0.02, body=0.1))
    text = json.dumps({"model": "mine/scripted-1", "messages": [{"role": "user", "content": "a" * 64_000}]})
    body = text.encode()
    with running.connect() as sock:
        sock.sendall(request("chat/completions", body)[: -len(body)])
        for start in range(0, len(body), 1000):
            sock.sendall(body[start : start + 1000])
            time.sleep(0.005)
        assert parse(read_all(sock, 1.0))[0] == 200


def drip_until_answered(sock: socket.socket, drop: bytes) -> bytes:
    """Send a drop each 10 milliseconds until there is an answer, and return that."""
    sock.settimeout(0.01)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            return sock.recv(65536)
        except TimeoutError:
            sock.sendall(drop)
    return b""
