"""What a run says at its end: counted from the journal, nothing else."""

from __future__ import annotations

import pytest

from holdfast.cli.run_report import account, insist
from holdfast.core.errors import ModelDropped
from holdfast.core.identity import Pin
from holdfast.store.events import Event, EventKind

PIN, RUNG = Pin.parse("mimo/pro"), Pin.parse("router/pro")


def attempt(
    request: str,
    pin: str = "mimo/pro",
    *,
    failed: bool = False,
    host: str = "mimo.example",
    key: str | None = "a",
) -> Event:
    detail: dict[str, object] = {"url": f"https://{host}/v1", "key": key} | (
        {"fault": {"kind": "transient"}} if failed else {}
    )
    return Event(1.0, EventKind.ATTEMPT, "s", request, pin, detail)


def test_requests_attempts_and_who_answered_are_counted() -> None:
    events = [
        attempt("1", failed=True),
        attempt("1"),
        attempt("2"),
        attempt("3", key=None),
        Event(1.0, EventKind.CREATED, "s"),
    ]
    assert str(account(events, PIN)) == (
        "3 requests, 4 attempts: mimo/pro at mimo.example with key 'a' answered 2; mimo/pro at mimo.example answered 1"
    )


def test_where_nothing_answered_nothing_is_claimed() -> None:
    assert str(account([], PIN)) == "no request arrived"
    assert str(account([attempt("1", failed=True)], PIN)) == "1 request, 1 attempt: none was answered"


def test_a_rung_of_the_user_s_ladder_may_stand_in_and_is_named() -> None:
    found = account(
        [attempt("1", failed=True), attempt("1", "router/pro", host="router.example")], PIN, [RUNG]
    )
    assert found.drift == ()
    assert "router/pro at router.example" in str(found)


@pytest.mark.parametrize(
    ("events", "refused", "said"),
    [
        (
            [attempt("1", "router/pro", host="router.example")],
            0,
            "router/pro at router.example was used, and 'mimo/pro' was chosen (request 1)",
        ),
        (
            [
                Event(
                    1.0, EventKind.MODEL_DIFFERS, "s", "2", "mimo/pro", {"answered": "lite", "chosen": "pro"}
                )
            ],
            0,
            "'lite' answered, and 'pro' was chosen",
        ),
        ([], 2, "it asked for another model than 'mimo/pro', and was refused (2 requests)"),
    ],
)
def test_everything_else_than_the_pin_is_drift_and_an_error(
    events: list[Event], refused: int, said: str
) -> None:
    found = account(events, PIN, (), refused)
    with pytest.raises(ModelDropped) as caught:
        insist(found, PIN, "s")
    assert said in str(caught.value)
    assert caught.value.next_step == "holdfast why s"


def test_a_run_that_stayed_is_no_error() -> None:
    insist(account([attempt("1")], PIN), PIN, "s")
