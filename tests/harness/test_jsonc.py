"""Configuration with comments is edited as text: what is not ours keeps every byte."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.harness import jsonc

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


@pytest.mark.parametrize(
    "text",
    ["", "{}", "{ }\n", "{\n}\n", '{"a": 1}', '{"a": 1,}', '{\n\t"b": {\n\t\t"x": 1, // hi\n\t},\n}\n', COMMENTED, "{\n  // only a comment\n}\n"],
)
@pytest.mark.parametrize("path", [("n",), ("m", "n"), ("m", "n", "o")])
def test_a_member_is_put_in_and_taken_out_and_the_rest_says_what_it_said(text: str, path: tuple[str, ...]) -> None:
    edited = jsonc.put(text, path, {"k": [1, "ü"]})
    assert jsonc.get(edited, path) == {"k": [1, "ü"]}
    rest = jsonc.parse(edited)
    del rest[path[0]]
    assert rest == jsonc.parse(text)
    assert jsonc.parse(jsonc.drop(edited, path[:1])) == jsonc.parse(text)
    for comment in ("// of the user", "// stays", "/* and this */", "// the last", "// only a comment", "// hi"):
        assert (comment in text) is (comment in edited)


def test_a_new_member_stands_on_its_own_line_and_comments_stay_with_theirs() -> None:
    assert jsonc.put(COMMENTED, ("c",), 1) == COMMENTED.replace('comment" // the last\n', 'comment", // the last\n  "c": 1\n')
    assert jsonc.put(COMMENTED, ("a", "y"), 1) == COMMENTED.replace("// stays\n", '// stays\n    "y": 1,\n')


@pytest.mark.parametrize(
    ("path", "left"), [(("a",), {"b": "http://not.a//comment"}), (("b",), {"a": {"x": [1, 2]}}), (("a", "x"), {"a": {}, "b": "http://not.a//comment"})]
)
def test_any_member_can_be_taken_out(path: tuple[str, ...], left: Any) -> None:
    assert jsonc.parse(jsonc.drop(COMMENTED, path)) == left


@pytest.mark.parametrize("path", [("a",), ("a", "x"), ("b", "z")])
def test_what_stands_there_is_never_replaced(path: tuple[str, ...]) -> None:
    with pytest.raises(jsonc.Malformed, match="is taken"):
        jsonc.put(COMMENTED, path, 1)


@pytest.mark.parametrize("path", [("z",), ("z", "y"), ("b", "c")])
def test_what_is_not_there_cannot_be_taken_out(path: tuple[str, ...]) -> None:
    assert not jsonc.has(COMMENTED, path)
    with pytest.raises(KeyError):
        jsonc.drop(COMMENTED, path)


@pytest.mark.parametrize("text", ["{", "[", '{"a"}', '{"a": }', "{} {}", '{"a": 1 "b": 2}', "[1 2]", "{'a': 1}", '{"a": nope}', "[" * 999, '{"a": "\n"}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(jsonc.Malformed):
        jsonc.parse(text)
