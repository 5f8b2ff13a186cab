"""Text from outside, cleaned by the one owner and by everybody who asks it."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import ConnectionLost, HoldfastError
from holdfast.core.identity import Dialect
from holdfast.gateway.telemetry.log import line
from holdfast.values.plain_text import plain, plain_json, plain_values
from holdfast.values.secret import redact
from holdfast.wire.error_bodies import from_error, refusal

HOSTILE = {
    "control characters": [*map(chr, range(32)), "\x7f"],
    "C1": [*map(chr, range(0x80, 0xA0))],
    "bidirectional marks": [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"],
    "what has no width": [*"\u00ad\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2064\ufeff"],
    "line and paragraph ends": [*"\u2028\u2029"],
    "tags": [*map(chr, range(0xE0000, 0xE0080))],
    "selectors": [*map(chr, range(0xFE00, 0xFE0E)), *map(chr, range(0xE0100, 0xE01F0))],
    "fillers": [*"\u115f\u1160\u17b4\u2800\u3164\uffa0"],
    "interlinear annotations": [*"\ufff9\ufffa\ufffb"],
    "no characters at all": ["\ud800", "\udfff", "\ue000", "\uffff", "\U0010ffff"],
}
ALL = "".join(letter for letters in HOSTILE.values() for letter in letters)
HARMLESS = (
    "",
    "plain",
    "zwölf Äpfel",
    "日本語",
    "עברית",
    "😀❤\ufe0f",
    "a\nb\tc",
    "naïve — “quoted”…",
    "\ufffd",
)


def is_clean(text: str) -> bool:
    return all(letter in "\n\t" or (letter.isprintable() and letter not in ALL) for letter in text)


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_character_that_steers_reorders_or_hides_is_left(kind: str) -> None:
    for letter in HOSTILE[kind]:
        if letter in "\n\t":
            assert plain(letter) == letter
        else:
            assert plain(f"a{letter}b") == "a\ufffdb", repr(letter)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_a_line_end_and_a_wide_space_are_written_as_usual() -> None:
    assert plain("a\r\nb\u00a0c\u3000d") == "a\nb c d"


@given(st.text(max_size=60))
def test_any_text_comes_out_clean_and_does_not_change_again(text: str) -> None:
    assert is_clean(plain(text))
    assert plain(plain(text)) == plain(text)


def test_every_character_of_unicode_is_decided_by_its_category() -> None:
    kept = {plain(chr(number)) for number in range(sys.maxunicode + 1)}
    assert {unicodedata.category(letter) for letter in kept if letter not in "\n\t"} <= {
        *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No"),
        *("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs"),
    }


def test_values_are_cleaned_with_their_names_however_deep() -> None:
    class Other:
        def __str__(self) -> str:
            return "o\x1b"

    value = {"a\x9b": ["b\u202e", ("c\x7f", 1, None, True, 1.5)], "d": {"e": "\U000e0041"}}
    clean = {"a\ufffd": ["b\ufffd", ["c\ufffd", 1, None, True, 1.5]], "d": {"e": "\ufffd"}}
    assert plain_values(value) == clean
    assert json.loads(plain_json(value)) == clean
    assert json.loads(plain_json({"x": Other()}, indent=2)) == {"x": "o\ufffd"}


def test_no_error_log_or_answer_shows_what_the_owner_removes() -> None:
    error = ConnectionLost(f"what {ALL}", candidates=[f"p/{ALL}"], next_step=f"holdfast {ALL}")
    assert is_clean(str(error))
    assert is_clean(error.message("x"))
    assert is_clean(str(HoldfastError("x", details=[ALL])))
    assert is_clean(redact(ALL, limit=10_000))
    written = line("event", "info", {"text": ALL, "list": [ALL], "other": Exception(ALL)}).decode()
    assert is_clean(written)
    for answer in (from_error(error), refusal("strict_body", member=ALL, why=ALL, facts={"member": ALL})):
        made = answer.with_provider_error(json.dumps({ALL: [ALL]}).encode())
        for dialect in Dialect:
            for text in (made.body(dialect), made.event(dialect)):
                value = json.loads(text.decode().rpartition("data: ")[2])
                assert is_clean(json.dumps(value, ensure_ascii=False).replace("\\n", "").replace("\\t", ""))
