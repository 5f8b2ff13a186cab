"""The text of a free tool, taken out of `{"input": "..."}` while it arrives."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.free_text import FreeText, text_of_free_tool
from tables import rows

LETTERS = st.sampled_from(["a", '"', "\\", "\n", "\t", "/", "{", "u", "é", "\U0001f600", "\ud83d", "\ude00"])
SIGNS = st.sampled_from(['{"input": "', "}", "[", ":", " ", "\\u", "d83d", "7"])
PATCH = '*** Begin Patch\n+ "quoted" \\n\n*** End Patch'


def _pieces(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(text=st.lists(LETTERS).map("".join), cuts=st.lists(st.integers(0, 200)), plain=st.booleans())
def test_every_split_of_the_arguments_gives_the_same_text(text: str, cuts: list[int], *, plain: bool) -> None:
    args = json.dumps({"input": text}, ensure_ascii=plain)
    free = FreeText()
    got = "".join(free.feed(piece) for piece in _pieces(args, cuts)) + free.end()
    assert got == json.loads(args)["input"]


@given(args=st.lists(st.one_of(LETTERS, SIGNS)).map("".join), cuts=st.lists(st.integers(0, 200)))
def test_no_arguments_make_it_fail(args: str, cuts: list[int]) -> None:
    free = FreeText()
    got = "".join(free.feed(piece) for piece in _pieces(args, cuts)) + free.end()
    assert isinstance(got, str)


@rows(
    ("args", "text"),
    [
        (json.dumps({"input": PATCH}), PATCH),
        (PATCH, PATCH),
        ("", ""),
        ('{"why": 1, "input": "late"}', "late"),
        ('{"why": 1, "input": ""}', ""),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ('{"input": 7}', '{"input": 7}'),
        ('["input"]', '["input"]'),
        (" " * 200 + '{"input": "far"}', "far"),
        ('{"input": "cut', "cut"),
        ('{"input": "done"} and more', "done"),
        (r'{"input": "\uzzzz"}', "\\uzzzz"),
        (r'{"input": "\q\ud83d\u0041"}', "q\ud83dA"),
    ],
)
def test_what_is_no_such_object_is_given_as_it_is(args: str, text: str) -> None:
    assert text_of_free_tool(args) == text


def test_the_text_comes_before_its_end_has_come() -> None:
    free = FreeText()
    assert [free.feed(piece) for piece in ('{"inp', 'ut": "*** Be', "gin\\", 'nPatch"}', " ")] == [
        *("", "*** Be", "gin", "\nPatch", ""),
    ]


def test_arguments_that_begin_in_another_way_are_kept_without_looking_at_them_again() -> None:
    free = FreeText()
    assert [free.feed(letter) for letter in " " * 200 + '{"input": "far"}'] == [""] * 216
    assert free.end() == "far"
