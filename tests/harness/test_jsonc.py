"""Configuration with comments is edited as text: what is not ours keeps every byte."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.harness import jsonc
from tables import rows

COMMENTED = """\
// of the user
{
  "a": {
    "x": [1, 2,], // stays
  },
  /* and this */
  "b": "http://not.a//comment" // the last
}
"""


@rows(
    "text",
    [
        "",
        "{}",
        "{ }\n",
        "{\n}\n",
        '{"a": 1}',
        '{"a": 1,}',
        '{\n\t"b": {\n\t\t"x": 1, // hi\n\t},\n}\n',
        COMMENTED,
        "{\n  // only a comment\n}\n",
    ],
)
@rows("path", [("n",), ("m", "n"), ("m", "n", "o")])
def test_a_member_is_put_in_and_taken_out_and_the_rest_says_what_it_said(
    text: str, path: tuple[str, ...]
) -> None:
    edited = jsonc.put(text, path, {"k": [1, "ü"]})
    assert jsonc.get(edited, path) == {"k": [1, "ü"]}
    rest = jsonc.parse(edited)
    del rest[path[0]]
    assert rest == jsonc.parse(text)
    assert jsonc.parse(jsonc.drop(edited, path[:1])) == jsonc.parse(text)
    for comment in (
        "// of the user",
        "// stays",
        "/* and this */",
        "// the last",
        "// only a comment",
        "// hi",
    ):
        assert (comment in text) is (comment in edited)


def test_a_new_member_gets_its_own_line_and_comments_stay_with_theirs() -> None:
    assert jsonc.put(COMMENTED, ("c",), 1) == COMMENTED.replace(
        'comment" // the last\n', 'comment", // the last\n  "c": 1\n'
    )
    assert jsonc.put(COMMENTED, ("a", "y"), 1) == COMMENTED.replace("// stays\n", '// stays\n    "y": 1,\n')


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (("a",), {"b": "http://not.a//comment"}),
        (("b",), {"a": {"x": [1, 2]}}),
        (("a", "x"), {"a": {}, "b": "http://not.a//comment"}),
    ],
)
def test_any_member_can_be_taken_out(path: tuple[str, ...], left: Any) -> None:
    assert jsonc.parse(jsonc.drop(COMMENTED, path)) == left


@pytest.mark.parametrize("path", [("a",), ("a", "x"), ("b", "z")])
def test_a_setting_that_is_there_is_never_replaced(path: tuple[str, ...]) -> None:
    with pytest.raises(jsonc.MalformedJsonc, match="is taken"):
        jsonc.put(COMMENTED, path, 1)


@pytest.mark.parametrize("path", [("z",), ("z", "y"), ("b", "c")])
def test_what_is_not_there_cannot_be_taken_out(path: tuple[str, ...]) -> None:
    assert not jsonc.has(COMMENTED, path)
    with pytest.raises(KeyError):
        jsonc.drop(COMMENTED, path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[",
        '{"a"}',
        '{"a": }',
        "{} {}",
        '{"a": 1 "b": 2}',
        "[1 2]",
        "{'a': 1}",
        '{"a": nope}',
        "[" * 999,
        '{"a": "\n"}',
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(jsonc.MalformedJsonc):
        jsonc.parse(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{\n  "n": 1,\n  // theirs\n  "b": 2\n}', '{\n  // theirs\n  "b": 2\n}'),
        ('{\n  "n": 1, // theirs\n  "b": 2\n}', '{\n  // theirs\n  "b": 2\n}'),
        ('{"n": 1 /* theirs */, "b": 2}', '{ /* theirs */ "b": 2}'),
        ('{\n  "a": 0, // theirs\n  "n": 1\n}', '{\n  "a": 0 // theirs\n}'),
        ('{\n  "a": 0,\n  // theirs\n  "n": 1,\n}', '{\n  "a": 0,\n  // theirs\n}'),
        ('{\n  // theirs\n  "n": 1\n}', "{\n  // theirs\n}"),
        ('{\r\n  "a": 0,\r\n  "n": 1\r\n}', '{\r\n  "a": 0\r\n}'),
    ],
)
def test_a_comment_beside_what_is_taken_out_stays(text: str, left: str) -> None:
    dropped = jsonc.drop(text, ("n",))
    assert ("// theirs" in text) is ("// theirs" in dropped)
    assert dropped.split() == left.split()
    assert jsonc.parse(dropped) == jsonc.parse(left)


@pytest.mark.parametrize("text", ["// of the user\n", "/* of the user */", "\n\ufeff"])
def test_a_file_of_nothing_but_comments_gets_its_first_object_behind_them(text: str) -> None:
    edited = jsonc.put(text, ("n",), 1)
    assert (edited.startswith(text), jsonc.parse(edited)) == (True, {"n": 1})


def test_a_duplicate_name_is_refused_because_programs_disagree_on_which_counts() -> None:
    with pytest.raises(jsonc.MalformedJsonc, match="twice"):
        jsonc.put('{"a": {"x": 1}, "a": {}}', ("a", "n"), 1)


_GAPS = st.sampled_from(["", " ", "\n", "\r\n  ", " // theirs 1\n", "/* theirs 2 */", "\n  // theirs 3\n  "])


@st.composite
def _objects(draw: st.DrawFn) -> str:
    """A text with the members a, b and n in any order, and comments wherever they are allowed."""
    names = draw(st.permutations(["a", "b", "n"]))[: draw(st.integers(1, 3))]
    members = [
        f'"{name}"{draw(_GAPS)}:{draw(_GAPS)}{index}{draw(_GAPS)}' for index, name in enumerate({*names, "n"})
    ]
    tail = draw(st.sampled_from(["", "," + draw(_GAPS)]))
    return draw(_GAPS) + "{" + draw(_GAPS) + ("," + draw(_GAPS)).join(members) + tail + "}" + draw(_GAPS)


@given(_objects())
def test_a_member_is_removed_alone_whatever_is_around_it(text: str) -> None:
    dropped, inside = jsonc.drop(text, ("n",)), text[text.index('"n"') :]
    assert jsonc.parse(dropped) == {name: value for name, value in jsonc.parse(text).items() if name != "n"}
    own = re.match(r'"n"\s*(?:/\*.*?\*/|//[^\n]*\n|\s)*:(?:/\*.*?\*/|//[^\n]*\n|\s)*', inside)
    assert own is not None
    assert dropped.count("theirs") == text.count("theirs") - own[0].count("theirs")
    assert jsonc.parse(jsonc.put(dropped, ("n",), 1))["n"] == 1
