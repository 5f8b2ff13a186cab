"""Sealed values: what a caller is given to echo, and what is read from it again."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.envelope import PREFIX, Sealer, is_sealed
from holdfast.translate.form import Opaque, Seal
from tables import rows

SEALER = Sealer(b"key of a home")
MARK = SEALER.mark("https://api.example", "m")
VALUES = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(Opaque), VALUES, st.text(max_size=20))
def test_what_is_sealed_comes_back_as_it_was(kind: Opaque, value: Any, item: str) -> None:
    seal = Seal(kind, value, MARK, item)
    text = SEALER.seal(seal)
    assert SEALER.open(text) == seal
    assert is_sealed(text)
    assert text.isascii()


def test_a_seal_shows_neither_endpoint_nor_model() -> None:
    text = SEALER.seal(Seal(Opaque.PLAIN, mark=MARK))
    inner = text[len(PREFIX) :].partition(".")[0]
    shown = base64.urlsafe_b64decode(inner + "=" * (-len(inner) % 4)).decode()
    assert json.loads(shown) == {"h": MARK, "k": "rc"}
    assert "example" not in shown


def test_marks_differ_by_endpoint_by_model_and_by_home() -> None:
    marks = {
        MARK,
        SEALER.mark("https://api.example", "n"),
        SEALER.mark("https://other.example", "m"),
        Sealer(b"another home").mark("https://api.example", "m"),
    }
    assert len(marks) == 4


SEALED = SEALER.seal(Seal(Opaque.SIGNATURE, "v", MARK))


def _signed(document: Any) -> str:
    """Return a text with a right check, whatever it holds."""
    inner = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
    return f"{PREFIX}{inner}.{SEALER._hash(inner)[:8]}"


@rows(
    "text",
    [
        "",
        "a genuine signature",
        PREFIX,
        f"{PREFIX}.",
        f"{PREFIX}x.{SEALER._hash('x')[:8]}",
        f"{PREFIX}é.{SEALER._hash('é')[:8]}",
        SEALED[:-1],
        SEALED + "0",
        SEALED.replace(PREFIX, PREFIX + "A", 1),
        Sealer(b"another home").seal(Seal(Opaque.SIGNATURE, "v", MARK)),
        _signed([]),
        _signed({}),
        _signed({"k": "sig"}),
        _signed({"k": "poem", "h": MARK}),
        _signed({"k": ["sig"], "h": MARK}),
        _signed(None),
    ],
)
def test_what_this_home_did_not_seal_is_not_opened(text: str) -> None:
    assert SEALER.open(text) is None


@given(st.text(max_size=40))
def test_no_text_breaks_the_opening_of_seals(text: str) -> None:
    assert SEALER.open(PREFIX + text) is None


@rows(("value", "expected"), [(SEALED, True), (PREFIX, True), ("sig", False), (None, False), (1, False)])
def test_a_sealed_text_is_recognised(value: object, expected: bool) -> None:
    assert is_sealed(value) is expected
