"""In the library, a request that is like one before it is answered as the full path would answer it: the same
is sent, given, counted and written down, whatever the provider says to it; through blocking calls and on an
event loop, in every dialect."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

import holdfast
from gateway import test_the_fast_path as chat
from gateway import test_the_fast_path_of_each_dialect as others
from gateway.raw_provider import RawProvider, Said, raw_provider
from holdfast.store.stored_events import stored
from tables import rows

PATHS = {"chat": "/chat/completions", "messages": "/v1/messages", "responses": "/responses"}
ASKS = {"chat": chat.BODY, **others.ASKS}
GOOD = {"chat": Said([chat.GOOD]), "chat stream": Said([chat.GOOD_STREAM]), **others.GOOD}
SAYS = {"chat": chat.ANSWERS, "chat stream": chat.STREAMS, **others.CASES}
ALL = [(asked, case) for asked, cases in SAYS.items() for case in cases]
STEP = 1 if "ALL_ROWS" in os.environ else 5
"""Every row in `make nightly`, a sample by default: each asks eight times in two homes."""
PLAIN = [(asked, next(iter(cases))) for asked, cases in SAYS.items()]
ROWS = [*PLAIN, *(row for row in ALL[::STEP] if row not in PLAIN)]
CHANGES = re.compile(rb'[0-9a-f]{16}|"created":\d{10}|\d[\d.]*')
"""What differs from time to time: ids, times and lengths of them."""


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawProvider]:
    monkeypatch.setenv("KEY_A", chat.KEY)
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    with raw_provider() as provider:
        provider.before_reset = 0.02
        yield provider


class Program:
    """A program with one session, through blocking calls or on an event loop, and its answers so far."""

    def __init__(self, home: Path, raw: RawProvider, asked: str, *, on: bool, waits: bool) -> None:
        route, _, stream = asked.partition(" ")
        home.mkdir(mode=0o700)
        dialect, url = (
            others.chat.DIALECTS.get(route, "openai-chat"),
            raw.root if route == "messages" else raw.url,
        )
        (home / "holdfast.toml").write_text(
            f'[provider.mine]\nurl = "{url}"\ndialect = "{dialect}"\nmodels = ["{chat.MODEL}"]\n'
            'keys = ["env:KEY_A", "env:KEY_B"]\n'
            'forward_headers = ["x-ratelimit-remaining-requests"]\n[settings]\nprobe_delays = [0, 0]\n'
        )
        self.home, self.raw, self.good = home, raw, GOOD[asked]
        self.holdfast = holdfast.open(home)
        self.engine = self.holdfast.engine
        self.engine.fast_path.on = on
        self.engine._jitter = lambda: 0.0
        self.holdfast.sleep = lambda _: None
        self.session = self.holdfast.session("s", f"mine/{chat.MODEL}")
        body = ASKS[route] | ({"stream": True} if stream else {})
        self.wanted = {
            "url": f"http://nowhere.invalid{PATHS[route]}",
            "content": json.dumps(body).encode(),
            "headers": {"content-type": "application/json", "accept": "application/json"},
        }
        self.ask = self._ask
        if waits:
            self.loop = asyncio.new_event_loop()
            self.client = httpx2.AsyncClient(transport=self.session.async_transport())
            self.ask = lambda: self.loop.run_until_complete(self._ask_async())
        else:
            self.client = httpx2.Client(transport=self.session.transport())
        raw.answer = lambda _: self.good
        for _ in range(3):  # the key is known, kept, and the request is like the one before it
            assert self.ask()[0] == 200
            self.engine.journal_writer.flush()

    def _ask(self) -> tuple[Any, ...]:
        pieces: list[bytes] = []
        try:
            with self.client.stream("POST", **self.wanted) as answer:
                pieces += answer.iter_raw()
        except httpx2.HTTPError as error:
            return self._seen(error, pieces)
        return self._seen(answer, pieces)

    async def _ask_async(self) -> tuple[Any, ...]:
        pieces: list[bytes] = []
        try:
            async with self.client.stream("POST", **self.wanted) as answer:
                pieces += [piece async for piece in answer.aiter_raw()]
        except httpx2.HTTPError as error:
            return self._seen(error, pieces)
        return self._seen(answer, pieces)

    def _seen(self, answer: Any, pieces: list[bytes]) -> tuple[Any, ...]:
        """An answer or an error as its program sees it, without what differs from time to time."""
        body = b"".join(pieces).replace(str(self.home).encode(), b"HOME")
        if isinstance(answer, Exception):
            text = str(answer).replace(str(self.home), "HOME").encode()
            return type(answer).__name__, CHANGES.sub(b"0", text), CHANGES.sub(b"0", body)
        kept = [pair for pair in answer.headers.raw if pair[0].decode() not in chat.CHANGES_EACH_TIME]
        if answer.status_code != 200 or b'"error"' in body:
            body = CHANGES.sub(b"0", body)
            kept = [pair for pair in kept if pair[0] != b"content-length"]
        return answer.status_code, kept, body

    def effects(self, says: list[Said]) -> tuple[Any, ...]:
        """Ask twice; the provider says first this, then what it says always. Return what the program, the
        provider, the journal and the usage counts got, and what is known of the keys."""
        engine, left = self.engine, [*says]
        self.raw.requests.clear()
        before = len(engine.store.journal(session="s"))
        self.raw.answer = lambda _: left.pop(0) if left else self.good
        answers = [self.ask(), self.ask()]
        engine.journal_writer.flush()
        events = engine.store.journal(session="s")[before:]
        return (
            answers,
            [sorted(head.lower().split(b"\r\n")) for head in self.raw.requests],
            [(event.pin, event.kind, chat.without_times(stored(event.detail))) for event in events],
            [(usage.key, usage.pin, usage[4:]) for usage in engine.store.usage("")],
            chat.known_of(SimpleNamespace(holdfast=self.holdfast)),
            others.owners({name: made.owner for name, made in engine.objects._made.items()}),
            others.owners(engine.objects._firsts),
        )

    def close(self) -> None:
        if isinstance(self.client, httpx2.Client):
            self.client.close()
        else:
            self.loop.run_until_complete(self.client.aclose())
            self.loop.run_until_complete(self.holdfast.aclose())
            self.loop.close()
        self.holdfast.close()


@contextlib.contextmanager
def running(*given: Any, **options: Any) -> Iterator[Program]:
    program = Program(*given, **options)
    try:
        yield program
    finally:
        program.close()


@rows(("asked", "case"), ROWS, ids=[f"{asked}, {case}" for asked, case in ROWS])
def test_the_fast_path_changes_nothing_that_a_program_sees(
    asked: str, case: str, raw: RawProvider, tmp_path: Path
) -> None:
    both, waits = [], ROWS.index((asked, case)) % 2 == 1
    for on in (True, False):
        home = tmp_path / f"{asked} {case} {on}".replace("/", "-")
        with running(home, raw, asked, on=on, waits=waits) as program:
            recalled: list[Any] = []
            taken_over: list[Any] = []
            fast_path = program.engine.fast_path
            recall, take_over = fast_path.recall, fast_path.take_over
            fast_path.recall = lambda *given, r=recalled, f=recall: r.append(f(*given)) or r[-1]
            fast_path.take_over = lambda *given, t=taken_over, f=take_over: t.append(given) or f(*given)
            both.append(program.effects(SAYS[asked][case]))
            assert (recalled[0] is not None) is on
            assert not (taken_over and (asked, case) in PLAIN)
    for fast, full in zip(*both, strict=True):
        assert fast == full
