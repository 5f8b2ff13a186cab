"""A key is masked in each spelling that a provider may give it back in, wherever its pieces are cut."""

from __future__ import annotations

import itertools
import json
import time
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.secrecy.masking import StreamMask, holds, masked, masked_bytes, redacted, spellings_of, starred
from holdfast.values.secret import Secret
from secrecy.spelled import KEY, SPELLINGS, left_of
from tables import rows

SECRET = Secret(KEY)
NAMES = st.sampled_from(sorted(SPELLINGS))
KEYS = st.text(st.sampled_from("abcXYZ019-_./+="), min_size=16, max_size=60)
TEXTS = st.text(st.sampled_from('ab {}":,\\n%sé—'), max_size=40)


def streamed(secret: Secret, pieces: list[bytes]) -> bytes:
    mask = StreamMask(secret)
    return b"".join([mask.feed(piece) for piece in pieces]) + mask.rest()


def cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(at % (len(raw) + 1) for at in cuts)})
    return [raw[start:end] for start, end in itertools.pairwise(places)]


@rows("name", SPELLINGS)
def test_no_spelling_of_a_key_passes_in_an_answer_or_an_error(name: str) -> None:
    spelling = SPELLINGS[name](KEY)
    raw = b'{"text": "your key is ' + spelling + b'!"}'
    hidden = starred(raw, SECRET)
    shown = masked_bytes(raw, SECRET)
    for part in left_of(KEY, spelling):
        assert part not in hidden, hidden
        assert part not in shown, shown
    assert len(hidden) == len(raw)
    assert hidden.startswith(b'{"text": "your key is ')
    assert hidden.endswith(b'!"}')
    assert str(SECRET).encode() in shown


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_spelling_of_a_key_passes_a_stream_that_is_cut_anywhere(name: str) -> None:
    raw = b'data: {"text": "' + SPELLINGS[name](KEY) + b'"}\n\ndata: [DONE]\n\n'
    whole = starred(raw, SECRET)
    assert whole != raw
    for at in range(1, len(raw)):
        assert streamed(SECRET, [raw[:at], raw[at:]]) == whole
    assert streamed(SECRET, [raw[at : at + 1] for at in range(len(raw))]) == whole


@given(KEYS, NAMES, TEXTS, TEXTS, st.lists(st.integers(0, 10_000), max_size=6))
def test_no_key_passes_a_stream_whatever_it_is_and_stands_beside(
    key: str, name: str, before: str, after: str, cuts: list[int]
) -> None:
    secret, spelling = Secret(key), SPELLINGS[name](key)
    raw = f"{before} ".encode() + spelling + f" {after}".encode()
    hidden = streamed(secret, cut(raw, cuts))
    assert len(hidden) == len(raw)
    assert hidden == starred(raw, secret)
    assert not spellings_of(secret).spans(hidden)
    assert spelling not in hidden


@given(st.binary(max_size=300), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_stream_without_the_key_loses_and_changes_nothing(raw: bytes, cuts: list[int]) -> None:
    assert streamed(SECRET, cut(raw, cuts)) == raw


def test_a_masked_answer_in_json_can_still_be_read() -> None:
    for name, spell in SPELLINGS.items():
        if "UTF-16" not in name:
            raw = b'{"a": "\\n\\"' + spell(KEY) + b'\\"\\u00e9"}'
            assert json.loads(starred(raw, SECRET))["a"].endswith('"é'), name


def test_what_ends_a_line_is_never_held_back() -> None:
    mask = StreamMask(SECRET)
    event = b'data: {"delta": "sk-canary-"}\n\n'
    assert mask.feed(event) == event
    assert mask.feed(b"data: sk-can") == b"data: "
    assert mask.feed(b"dle\n\n") == b"sk-candle\n\n"


@given(
    st.text(max_size=50),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    st.text(max_size=50),
)
def test_a_known_key_is_never_logged_or_stored_whatever_it_looks_like(
    before: str, value: str, after: str
) -> None:
    secret = Secret(value)
    shown = redacted(before + value + after, [secret])
    assert value not in shown or value in str(secret)


def test_a_short_key_is_masked_as_a_word_and_takes_no_letters_from_others() -> None:
    secret = Secret("x")
    assert masked("key 'x' exceeded its limit", [secret]) == "key '****' exceeded its limit"
    assert streamed(secret, [b"ex", b"tra x", b" x"]) == b"extra * *"


@pytest.mark.parametrize("value", ["key-\u00e9-123456", "a\\nb-%41-&#65;-0123456789", 'q"uote/0123456789'])
def test_a_key_with_odd_characters_is_never_shown(value: str) -> None:
    secret = Secret(value)
    for written in (value, json.dumps(value)[1:-1], value.replace("/", "\\/")):
        assert "123456" not in masked(f'{{"error": "no such key: {written}"}}', [secret])
    assert b"123456" not in masked_bytes(value.encode("latin-1"), secret)


@rows("name", SPELLINGS)
def test_no_spelling_of_a_key_stays_in_an_environment(name: str) -> None:
    for key, stands in ((KEY, True), (KEY[:-9], False)):
        assert holds(SPELLINGS[name](key).decode("utf-8", "surrogateescape"), [SECRET]) is stands


def test_no_key_stays_in_an_environment_packed() -> None:
    packed = b64encode(zlib.compress(b"key: " + KEY.encode(), 9)).decode()
    assert holds(f"blob={packed}", [SECRET])
    assert holds(KEY.encode().hex().upper(), [SECRET])


@pytest.mark.parametrize("text", ["A" * 100_000, "word " * 20_000, "%41" * 20_000, "\\u0041" * 10_000])
def test_no_long_variable_keeps_a_run_waiting(text: str) -> None:
    begun = time.process_time()
    assert not holds(text, [SECRET])
    assert time.process_time() - begun < 3
