"""Names of tools and ids of calls, as an endpoint takes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.form import Tool, ToolKind
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.names import ToolNames, call_id, made_id, wire_name
from tables import rows

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")

NAMES = [
    ("", "exec_command", "exec_command"),
    ("", "a" * 64, "a" * 64),
    ("collaboration", "wait", "collaboration__wait"),
    ("", "a.b", "a_b_2e7336dc8eba"),
    ("", "a/b", "a_b_"),
    ("", "a" * 65, "a" * 51 + "_635361c48bb9"),
    ("g" * 40, "f" * 40, "g" * 40 + "__" + "f" * 9 + "_"),
    ("", "größe", "gr__e_"),
    ("", "", "_"),
]


@rows(("group", "name", "begin"), NAMES)
def test_a_name_is_kept_or_shortened(group: str, name: str, begin: str) -> None:
    given_name = wire_name(group, name)
    assert given_name.startswith(begin)
    assert LEGAL.fullmatch(given_name)


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_name_becomes_one_that_endpoints_take(group: str, name: str) -> None:
    given_name = wire_name(group, name)
    assert LEGAL.fullmatch(given_name)
    assert wire_name("", given_name) == given_name


def test_names_that_differ_in_illegal_letters_stay_different() -> None:
    assert len({wire_name("", name) for name in ("a.b", "a/b", "a b", "a_b")}) == 4


def test_a_tool_is_known_again_by_its_name_at_the_endpoint() -> None:
    tools = [
        Tool("wait", group="g"),
        Tool("patch", ToolKind.FREE),
        Tool("web_search", ToolKind.SERVED, served="web_search"),
    ]
    names = ToolNames(tools, Losses())
    assert names.tool("g__wait") is tools[0]
    assert names.tool("patch") is tools[1]
    assert names.tool("web_search") is None
    assert names.kind_of("", "patch") is ToolKind.FREE
    assert names.kind_of("", "never_offered") is ToolKind.FUNCTION


def test_a_tool_may_be_offered_twice() -> None:
    tools = [Tool("f"), Tool("f", description="F.")]
    assert ToolNames(tools, Losses()).tool("f") is tools[0]


@rows(
    ("first", "second", "words"),
    [
        (Tool("b__c", group="a"), Tool("c", group="a__b", at="tools[1]"), "'a.b__c' and 'a__b.c'"),
        (Tool("a__b"), Tool("b", group="a", at="tools[1]"), "'a__b' and 'a.b'"),
    ],
)
def test_two_tools_with_one_name_are_refused(first: Tool, second: Tool, words: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        ToolNames([first, second], Losses())
    assert refused.value.path == "tools[1]"
    assert words in refused.value.why


IDS = [
    ("call_1", "", "", "call_1"),
    ("a" * 64, "", "", "a" * 64),
    ("a" * 65, "", "", None),
    ("toolu:1", "", "", None),
    ("", "", "", None),
    ("call_1", "", "#1", None),
    ("abcDEF123", "mistral", "", "abcDEF123"),
    ("call_1", "mistral", "", None),
    ("abcDEF1234", "mistral", "", None),
]
SHAPES = {"": re.compile(r"call_[0-9a-f]{24}"), "mistral": re.compile(r"[A-Za-z0-9]{9}")}


@rows(("identity", "rule", "salt", "expected"), IDS)
def test_an_id_of_a_call_is_kept_or_replaced(
    identity: str, rule: str, salt: str, expected: str | None
) -> None:
    made = call_id(identity, rule, salt)
    assert made == call_id(identity, rule, salt)
    if expected is None:
        assert SHAPES[rule].fullmatch(made)
        assert made != identity
    else:
        assert made == expected


def test_ids_that_nobody_gave_follow_from_what_they_belong_to() -> None:
    assert made_id("rs_", "resp_1", 0) == made_id("rs_", "resp_1", 0)
    assert len({made_id("rs_", "resp_1", 0), made_id("rs_", "resp_1", 1), made_id("rs_", "resp_10")}) == 3
    assert re.fullmatch(r"rs_[0-9a-f]{24}", made_id("rs_", "\ud800"))
