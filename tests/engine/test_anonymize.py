"""The shape of an unknown answer: what is kept of it tells how to read the next one, and nothing about who
asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.classify import classify
from holdfast.core.faults import Phase, Reply
from holdfast.engine.anonymize import digest, shape
from holdfast.engine.unclassified import vocabulary
from holdfast.providers import profiles
from tables import rows

WORDS = vocabulary(profiles.load(None))


CODES = [
    *(
        "quota_hit",
        "RESOURCE_EXHAUSTED",
        "rate-limit-reached",
        "InvalidApiKey",
        "Throttling.RateQuota",
        "modelNotFound",
        "SSLCertVerificationError",
    ),
    *("tokens_per_minute_limit_exceeded", "OAuthError", "1113", "20012"),
]
NO_CODES = [
    *(
        "xkqjzwvbnmplkjhgfdsaqwertyuiopzxcvbnmlkj",
        "xkqjzwvbnmplkjhgf",
        "QwErTyUiOpAsDfGh",
        "aBcDeFgHiJkLmNoP",
        "XKQJZWVBNMPLKJHGF",
        "abQWERTYUIOP",
    ),
    *("abcd_efgh_ijkl_mnop_qrst_uvwx_yzab", "a1b2c3", "zork_x7Yz", "1234567"),
]
"""What stays nowhere: too long for a word, a mixture of cases that no word has, digits beside letters."""


def body(document: Any) -> Any:
    return json.loads(shape(Reply(418, (), json.dumps(document).encode()), WORDS)["body"])


@rows(
    ("document", "kept"),
    [
        (
            {"error": {"code": "teapot_overheated", "type": "kitchen", "status": 418}},
            {"error": {"code": "teapot_overheated", "type": "kitchen", "status": 418}},
        ),
        ({"code": "acme-4711-alice"}, {"code": "<string 15>"}),
        ({"code": "gsk_abcdefghijklmnop"}, {"code": "<string 20>"}),
        *(({"code": code}, {"code": code}) for code in CODES),
        *(({"code": code}, {"code": f"<string {len(code)}>"}) for code in NO_CODES),
        ({"message": "Alice: quota exceeded acme"}, {"message": "… quota exceeded …"}),
        ({"message": "hello alice"}, {"message": "<string 11>"}),
        (
            {"balance": 1234.5, "count": 3, "ok": False, "none": None},
            {"balance": 0, "count": 0, "ok": False, "none": None},
        ),
        ({"alice@acme.example": {"code": 7}}, {"<key>": {"code": 7}}),
        ({"items": [1, 2, 3, 4]}, {"items": [0, 0, 0]}),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}, {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}),
    ],
)
def test_codes_and_known_words_stay_and_everything_else_is_its_length(document: Any, kept: Any) -> None:
    assert body(document) == kept


def test_headers_are_names_and_two_harmless_values() -> None:
    headers = (
        ("content-type", "application/json; boundary=alice"),
        ("retry-after", "30"),
        ("x-account", "alice"),
        ("x alice", "b"),
        ("set-cookie", "alice"),
    )
    sample = shape(Reply(418, headers), WORDS)
    assert sample["headers"] == {
        "content-type": "application/json",
        "retry-after": "30",
        "set-cookie": "",
        "x-account": "",
    }


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (Reply(None, body=b"ReadError: alice said no", phase=Phase.CONNECT), "ReadError"),
        (Reply(None, body=b"alice 12: no", phase=Phase.CONNECT), "<error>"),
        (Reply(418, body=b"<html>alice, quota!"), "… quota"),
        (Reply(418, body=b'{"alice": '), "<broken JSON> <string 9>"),
        (
            Reply(200, body=b': hi\n\ndata: {"code": "odd"}\n\ndata: [DONE]', phase=Phase.PRE_OUTPUT),
            'data: {"code": "odd"}\n\ndata: <broken JSON> <string 6>',
        ),
        (Reply(418), "<string 0>"),
    ],
)
def test_what_is_no_json_is_reduced_as_well(reply: Reply, kept: str) -> None:
    assert shape(reply, WORDS)["body"] == kept


def test_two_answers_of_one_shape_have_one_name() -> None:
    first, two = (
        shape(Reply(418, (), json.dumps({"message": name, "code": "odd"}).encode()), WORDS)
        for name in ("alice", "carol")
    )
    assert digest(first) == digest(two)
    assert digest(first) != digest(shape(Reply(419), WORDS))


@given(
    st.text(alphabet="bdfgjkqvwxz0123456789@.", min_size=6, max_size=60),
    st.sampled_from(["message", "code", "type", "x", "detail"]),
)
def test_no_private_word_gets_through_wherever_it_is(secret: str, name: str) -> None:
    """A made-up value of letters and digits is not in what is kept, wherever it was."""
    value = f"9{secret}7"
    reply = Reply(
        418,
        (("x-request", value), ("retry-after", value)),
        json.dumps({name: value, "list": [value], value: {"deep": value}}).encode(),
    )
    text = json.dumps(shape(reply, WORDS))
    assert value not in text
    classify(Reply(418, (), shape(reply, WORDS)["body"].encode()), profiles.load(None), now=0.0)
