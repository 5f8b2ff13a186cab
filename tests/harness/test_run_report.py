"""What a run says at its end: counted from the journal, nothing else."""

from __future__ import annotations

import pytest

from holdfast.cli.run_report import account, require_pin
from holdfast.core.errors import ModelDropped
from holdfast.core.faults import Fault, FaultClass
from holdfast.core.identity import Dialect, Pin
from holdfast.store.journal_events import (
    Attempted,
    Detail,
    Event,
    ModelDiffered,
    RequestTranslated,
    SessionCreated,
)

PIN, FALLBACK = Pin.parse("mimo/pro"), Pin.parse("router/pro")


def attempt(
    request: str,
    pin: str = "mimo/pro",
    *,
    failed: bool = False,
    host: str = "mimo.example",
    key: str | None = "a",
) -> Event[Detail]:
    fault = Fault(FaultClass.TRANSIENT) if failed else None
    detail = Attempted(
        number=1, key=key, url=f"https://{host}/v1", dialect=Dialect.OPENAI_CHAT, seconds=0.5, fault=fault
    )
    return Event(at=1.0, detail=detail, session="s", request=request, pin=pin)


def test_requests_attempts_and_who_answered_are_counted() -> None:
    events = [
        attempt("1", failed=True),
        attempt("1"),
        attempt("2"),
        attempt("3", key=None),
        Event(1.0, SessionCreated(), "s"),
    ]
    assert str(account(events, PIN)) == (
        "3 requests, 4 attempts: mimo/pro at mimo.example with key 'a' answered 2; "
        "mimo/pro at mimo.example answered 1"
    )


def test_where_nothing_answered_nothing_is_claimed() -> None:
    assert str(account([], PIN)) == "no request arrived"
    assert str(account([attempt("1", failed=True)], PIN)) == "1 request, 1 attempt: none was answered"


def test_a_fallback_of_the_user_s_own_may_answer_and_is_named() -> None:
    report = account(
        [attempt("1", failed=True), attempt("1", "router/pro", host="router.example")], PIN, [FALLBACK]
    )
    assert report.drift == ()
    assert "router/pro at router.example" in str(report)


def test_what_was_translated_and_what_that_lost_is_said_once() -> None:
    translations = [("user", ""), ("mid_system,user", ""), ("", "anthropic-messages")]
    events = [attempt("1"), attempt("2"), attempt("3")]
    for less, endpoint in translations:
        detail = RequestTranslated("openai-responses", endpoint or "openai-chat", less)
        events.append(Event(at=1.0, detail=detail, session="s", request="1", pin="mimo/pro"))
    assert str(account(events, PIN)) == (
        "3 requests, 3 attempts: mimo/pro at mimo.example with key 'a' answered 3; "
        "translated from openai-responses to openai-chat (less: user, mid_system); "
        "translated from openai-responses to anthropic-messages"
    )


@pytest.mark.parametrize(
    ("events", "refused", "message"),
    [
        (
            [attempt("1", "router/pro", host="router.example")],
            0,
            "router/pro at router.example was used, and 'mimo/pro' was chosen (request 1)",
        ),
        (
            [Event(at=1.0, detail=ModelDiffered("pro", "lite"), session="s", request="2", pin="mimo/pro")],
            0,
            "'lite' answered, and 'pro' was chosen",
        ),
        ([], 2, "it asked for another model than 'mimo/pro', and was refused (2 requests)"),
    ],
)
def test_everything_else_than_the_pin_is_drift_and_an_error(
    events: list[Event[Detail]], refused: int, message: str
) -> None:
    report = account(events, PIN, (), refused)
    with pytest.raises(ModelDropped) as caught:
        require_pin(report, PIN, "s")
    assert message in str(caught.value)
    assert caught.value.next_step == "holdfast why s"


def test_a_run_that_stayed_is_no_error() -> None:
    require_pin(account([attempt("1")], PIN), PIN, "s")
