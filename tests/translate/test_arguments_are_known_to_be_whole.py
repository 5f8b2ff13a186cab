"""The arguments of a call while they arrive: known to be whole as soon as they are, and not before."""

from __future__ import annotations

import json
from itertools import pairwise
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.arguments import Arguments, object_of
from tables import rows

TEXTS = st.text(alphabet='a"\\{}[]:, \n\u00e9', max_size=5)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)


def _pieces(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(value=OBJECTS, cuts=st.lists(st.integers(0, 100)), blanks=st.sampled_from(["", " ", "\n\n"]))
def test_an_object_is_whole_at_its_last_bracket(value: object, cuts: list[int], blanks: str) -> None:
    text = json.dumps(value)
    args = Arguments()
    *pieces, last = _pieces(text, cuts) or [text]
    for piece in pieces:
        args.feed(piece)
        assert args.read() is None
    for piece in (last, blanks):
        args.feed(piece)
        assert args.read() == value
    assert args.text == text + blanks
    args.feed("x")
    assert args.read() is None


@rows("text", ["", "[]", "1", "{} {", "{]}", "{x}", "}", '"{}"', "{" * 100_000 + "}" * 100_000])
def test_what_is_no_object_is_never_whole(text: str) -> None:
    args = Arguments()
    for letter in text:
        args.feed(letter)
        if len(text) < 10:
            assert args.read() is None or text.startswith("{}")
    assert args.read() is None
    assert object_of(text) is None


def test_asking_after_every_piece_costs_no_more_than_the_pieces() -> None:
    def cost(count: int) -> float:
        args, begun = Arguments(), process_time()
        args.feed('{"a":"')
        for _ in range(count):
            args.feed("}" * 10)
            args.read()
        return process_time() - begun

    assert min(cost(10_000) for _ in range(3)) < 30 * min(cost(1_000) for _ in range(3))
