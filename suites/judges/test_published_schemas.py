"""Whatever a caller sends and a provider answers: what we write of it fits the vendor's published schema.

`SCRIPTS=N` tries N requests and answers of each pair of dialects (2,000 by default)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import schemas
from requests_by_chance import request
from running import CHAT, MESSAGES, RESPONSES
from schemas import Written

from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import fold
from holdfast.translate.exchange import FORMS, CallerRequest, Destination
from holdfast.translate.losses import Untranslatable
from holdfast.wire.error_bodies import ClientError
from holdfast.wire.error_kinds import ERRORS, FAULTS, NOT_OFFERED, REFUSALS, SILENT, TIMED_OUT
from translate.stream_scripts import events
from translate.streams import caller_of, write

LONGEST = int(os.environ.get("LONGEST", "1500"))
COUNT = int(os.environ.get("SCRIPTS", "2000"))
NAMES = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "messages"}
SEARCHES = {CHAT: "", RESPONSES: "web_search", MESSAGES: "web_search_20250305"}
EFFORTS = ("low", "medium", "high")
DOCUMENTED = ("request_too_large",)
"""Types of errors that Anthropic's pages and API have, and its schema lacks."""
UNCOUNTED = {"sequence_number": 0}
"""What the event of an error lacks: events are passed on uncounted, so the number would be invented."""
CAPS = (
    Caps(max_output=4096, files=True),
    Caps(
        max_output=32_000,
        thinking="adaptive",
        efforts=EFFORTS,
        mid_system=True,
        prefill=True,
        tier=True,
        files=True,
    ),
    Caps(max_output=8192, thinking="budget", files=True, cache_mark=True),
    Caps(max_output=99, efforts=EFFORTS, effort_off="none", cache_key=True, verbosity=True, files=True),
)


def requests(count: int) -> Iterator[Written]:
    """Yield the requests that are written; those that are refused are left out."""
    for seed in range(count):
        rng = Random(seed)
        for caller in NAMES:
            asked = CallerRequest(caller, request(rng, caller), Sealer(b"k"), seed="s", now=1.0)
            for dialect in NAMES:
                if dialect is caller:
                    continue
                caps = replace(CAPS[seed % len(CAPS)], web_search=SEARCHES[dialect] * (seed % 2))
                destination = Destination(dialect, "https://a.test", "claude-x", caps)
                try:
                    yield Written(dialect, "request", asked.to(destination).body)
                except Untranslatable:
                    continue


def answers(count: int) -> Iterator[Written]:
    """Yield whole answers, and the events of streams."""
    for seed in range(count):
        _, made = events(Random(seed))
        whole = fold(made)
        for dialect, name in NAMES.items():
            summed_up = bool(seed % 2)
            written = FORMS[dialect].writer(caller_of(summed_up=summed_up)).whole(whole)
            yield Written(dialect, "answer", written)
            for event in write(made, name, caller_of(summed_up=summed_up)):
                yield Written(dialect, "event", event)


def errors() -> Iterator[Written]:
    """Yield every error of ours as the body of an answer, and as the last event of a stream."""
    kinds = [*FAULTS.values(), NOT_OFFERED, TIMED_OUT, SILENT, *ERRORS.values()]
    kinds += [refused.kind for refused in REFUSALS.values()]
    for kind in kinds:
        error = ClientError(kind, "what is wrong", {"next_step": "holdfast doctor"})
        for dialect in NAMES:
            for shown in (error, replace(error, request_id="hf_1")):
                body = json.loads(shown.body(dialect))
                if body["error"]["type"] in DOCUMENTED:
                    continue
                yield Written(dialect, "error", body)
                if dialect is not CHAT:  # chat's schema knows no event of an error
                    event = json.loads(shown.event(dialect).partition(b"data: ")[2])
                    yield Written(dialect, "error event", event | UNCOUNTED)


def _shown(faulty: list[tuple[Written, list[str]]]) -> str:
    """Return the first faults of each kind."""
    kinds: dict[tuple[str, str, str], str] = {}
    for written, faults in faulty:
        kinds.setdefault(
            (written.dialect, written.kind, faults[0][:80]), f"{faults} in {written.value}"[:LONGEST]
        )
    return "\n".join(f"{key}: {text}" for key, text in list(kinds.items())[:20])


def test_every_request_that_we_write_fits_the_vendors_schema() -> None:
    written = list(requests(COUNT))
    for dialect in NAMES:
        translated = [each for each in written if each.dialect is dialect]
        assert len(translated) > COUNT / 4, f"hardly any request was written for {dialect}"
    faulty = schemas.faults(written)
    assert not faulty, _shown(faulty)


def test_every_answer_and_every_event_that_we_write_fits_the_vendors_schema() -> None:
    faulty = schemas.faults(answers(COUNT // 10))
    assert not faulty, _shown(faulty)


def test_every_error_of_ours_fits_the_vendors_schema() -> None:
    faulty = schemas.faults(errors())
    assert not faulty, _shown(faulty)
