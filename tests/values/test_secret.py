"""A key is revealed on request by name, and never shown otherwise."""

from __future__ import annotations

import copy
import json
import logging
import pickle  # noqa: TID251 - to see that it is refused
import time
import traceback
from dataclasses import dataclass

import pytest

from holdfast.values.secret import Secret, fingerprint, redact

VALUE = "sk-canary-0123456789abcdef"
KEY = Secret(VALUE)


@dataclass
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        repr(KEY),
        str(KEY),
        f"{KEY}",
        f"{KEY:>30}",
        f"{KEY!r}",
        "%s" % KEY,  # noqa: UP031
        "{}".format(KEY),  # noqa: UP032
        repr(Holder(KEY)),
        repr([KEY]),
        repr({"k": KEY}),
    ],
)
def test_no_way_of_printing_shows_the_value(shown: str) -> None:
    assert VALUE not in shown
    assert "canary" not in shown


def test_a_secret_says_whether_it_begins_like_the_keys_of_a_plan() -> None:
    assert KEY.starts_with("sk-")
    assert not KEY.starts_with("tp-")


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars])
def test_a_secret_cannot_be_taken_along_in_another_form(take: object) -> None:
    with pytest.raises(TypeError):
        take(KEY)  # type: ignore[operator]


def test_a_traceback_with_its_variables_shows_the_mask() -> None:
    def failing(secret: Secret) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError) as caught:
        failing(KEY)
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "failing" in text
    assert VALUE not in text


def test_a_logger_shows_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("x").warning("key %s and %r", KEY, KEY)
    assert VALUE not in caplog.text


@pytest.mark.parametrize("value", ["", "   ", "a\nb", "a\x00b", "a\x7f", "schlüssel–x"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="secret") as refused:
        Secret(value)
    assert not value.strip() or value not in str(refused.value)


def test_white_space_around_a_key_is_not_part_of_it() -> None:
    assert Secret(f" {VALUE}\n").reveal() == VALUE


@pytest.mark.parametrize(("value", "tail"), [("abcdefghijkl", "ijkl"), ("abcdefghijk", ""), ("x", "")])
def test_a_short_key_shows_no_tail(value: str, tail: str) -> None:
    secret = Secret(value)
    assert (secret.tail, str(secret)) == (tail, f"…{tail}" if tail else "****")


def test_secrets_compare_by_value_and_only_with_secrets() -> None:
    assert Secret(VALUE) == KEY
    assert Secret("other") != KEY
    assert VALUE != KEY
    assert len({KEY, Secret(VALUE)}) == 1


def test_a_fingerprint_needs_the_pepper_and_tells_keys_apart() -> None:
    assert KEY.fingerprint(b"1") == fingerprint(VALUE, b"1") != KEY.fingerprint(b"2")
    assert KEY.fingerprint(b"1") != Secret("other").fingerprint(b"1")
    assert VALUE not in KEY.fingerprint(b"1")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Incorrect API key provided: sk-proj-abcdEFGH1234567890", "abcdEFGH1234567890"),
        ("Authorization: Bearer abc.def-ghi123456", "abc.def-ghi123456"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF rest", "eyJhbGciOiJIUzI1NiJ9"),
        ("hash 88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b", "88dc28d0f030c55e"),
        ("mail someone@example.com please", "someone@example.com"),
        ("in organization org-AbCdEfGh123 on", "AbCdEfGh123"),
        ("see https://user:pw@host.example/x for", "user:pw"),
        ("see https://host.example/billing?customer=c_42&token=zzz now", "customer=c_42"),
        ("key AIzaSyA1234567890abcdefghijk is", "SyA1234567890"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, gone: str) -> None:
    shown = redact(text)
    assert gone not in shown
    assert shown.split()[0] == text.split(maxsplit=1)[0]


@pytest.mark.parametrize("part", ["http://", "a://", "a://a:", "a", "https://a.example/x?", "u:p@", "a.a-"])
def test_a_long_text_is_redacted_in_linear_time(part: str) -> None:
    times = []
    for size in (2_000, 4_000):
        runs = []
        for _ in range(3):
            begun = time.process_time()
            redact(part * size)
            runs.append(time.process_time() - begun)
        times.append(min(runs))
    assert times[1] < 3 * times[0] + 0.02


def test_redaction_cuts_what_is_too_long_and_leaves_plain_words_alone() -> None:
    assert redact("model not found: gpt-5-pro at /v1/chat") == "model not found: gpt-5-pro at /v1/chat"
    assert redact("x " * 600, limit=20) == "x x x x x x x x x x"[:19] + "…"
