"""Both parsers of an answer's JSON give the same value, so both installations judge alike."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire.json_value import parsed, parsed_leniently

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ODD = {
    "doubled member": b'{"a":1,"a":2}',
    "no number": b'{"a":NaN}',
    "infinite": b"[-Infinity]",
    "too large": b"[1e400]",
    "long integer": b"[1180591620717411303424]",
    "half a pair": b'"\\ud800"',
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "broken letter": b'{"a":"\xff"}',
    "blank lines before and after": b'\r\n {"a":1} \n',
    "minus zero": b"-0",
    "deep": b"[" * 200 + b"]" * 200,
    "null": b"null",
}
NONE = {
    "empty": b"",
    "text": b"Not found",
    "page": b"<html></html>",
    "cut": b'{"a":[1,2',
    "more than one value": b"{}{}",
    "comma at the end": b'{"a":1,}',
    "zero before a number": b"[01]",
    "raw control byte": b'"\x01"',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_json_has_one_value_with_both_parsers(name: str) -> None:
    text = ODD[name].decode("utf-8-sig", "replace")
    assert repr(parsed(ODD[name])) == repr(parsed_leniently(ODD[name])) == repr(json.loads(text))


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_json_has_no_value_with_either_parser(name: str) -> None:
    assert parsed(NONE[name]) is None
    assert parsed_leniently(NONE[name]) is None


@given(VALUES, st.booleans())
def test_both_parsers_read_any_value_alike(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert repr(parsed(body)) == repr(parsed_leniently(body))


@given(st.binary(max_size=30) | st.text(alphabet='{}[]":,0123456789.eE+-\\untrfalse \t').map(str.encode))
def test_the_fast_parser_takes_nothing_that_the_other_refuses(body: bytes) -> None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return
    assert repr(value) == repr(parsed_leniently(body))
    assert value is None or not isinstance(value, float) or math.isfinite(value)
