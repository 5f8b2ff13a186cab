"""Roles and models: what is read from a list, and which name does a job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core.errors import IdentityError
from holdfast.core.model_roles import Listed, Listing, OfferedModel, Role, bind, chats, choose, version
from holdfast.provisioning.model_lists import merged, read_list

ANSWER = Role("answer", ("*sonnet*", "*gpt*"))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("claude-sonnet-4-20250514", (4,)),
        ("claude-sonnet-4-250514", (4,)),
        ("claude-4.5-sonnet", (4, 5)),
        ("anthropic/claude-sonnet-4.5", (4, 5)),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
        ("claude-sonnet-latest", ()),
        ("gpt-4-0613", (4,)),
        ("gpt-4.1-mini-2025-04-14", (4, 1)),
        ("gpt-4-32k", (4,)),
        ("o3-mini", (3,)),
        ("deepseek-v3.1", (3, 1)),
        ("llama-3.3-70b-instruct", (3, 3)),
        ("qwen3-235b-a22b", (3,)),
        ("mixtral-8x7b", ()),
        ("mistral-large-2411", ()),
        ("deepseek/deepseek-chat:free", ()),
    ],
)
def test_a_date_or_a_size_is_no_version(name: str, numbers: tuple[int, ...]) -> None:
    assert version(name) == numbers


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["claude-sonnet-4-20250514", "claude-sonnet-4-5"], "claude-sonnet-4-5"),
        (["claude-sonnet"], "claude-sonnet"),
        (["claude-sonnet-latest"], "claude-sonnet-latest"),
        (["anthropic/claude-sonnet-4.5", "claude-3-5-sonnet-20241022"], "anthropic/claude-sonnet-4.5"),
        (["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"], "claude-sonnet-4-5"),
        (["claude-sonnet-4-20250514", "claude-sonnet-4-20250601"], "claude-sonnet-4-20250601"),
        (["claude-sonnet-9", "claude-sonnet-10"], "claude-sonnet-10"),
        (["claude-sonnet-4-5-thinking", "claude-sonnet-4-5"], "claude-sonnet-4-5"),
        (["gpt-5", "claude-sonnet-4"], "claude-sonnet-4"),
        (["gpt-4.1", "gpt-5", "o3"], "gpt-5"),
        (["Claude-Sonnet-4"], "Claude-Sonnet-4"),
        (["claude-opus-4-1"], None),
        ([], None),
    ],
)
def test_the_first_pattern_that_fits_decides_and_then_the_highest_version(
    names: list[str], chosen: str | None
) -> None:
    assert choose(ANSWER, names) == chosen
    assert choose(ANSWER, names[::-1]) == chosen


def test_a_pinned_name_is_taken_or_nothing_is() -> None:
    assert choose(Role("answer", ("pin:m-1",)), ["m-10", "m-1"]) == "m-1"
    assert choose(Role("answer", ("pin:m-1",)), ["m-10", "M-1"]) is None


def test_a_bound_role_stays_while_its_model_is_listed() -> None:
    names = ["claude-sonnet-5", "claude-sonnet-4"]
    assert bind([ANSWER], names, {"answer": "claude-sonnet-4"}) == {"answer": "claude-sonnet-4"}
    assert bind([ANSWER], names, {"answer": "gone"}) == {"answer": "claude-sonnet-5"}
    assert bind([ANSWER, Role("expand", ("*haiku*",))], names, {}) == {"answer": "claude-sonnet-5"}, (
        "never an empty name"
    )


@pytest.mark.parametrize(
    ("name", "patterns"),
    [("", ("*",)), ("Answer", ("*",)), ("a b", ("*",)), ("answer", ()), ("answer", ("",))],
)
def test_a_role_needs_a_name_and_a_pattern(name: str, patterns: tuple[str, ...]) -> None:
    with pytest.raises(IdentityError):
        Role(name, patterns)


@pytest.mark.parametrize(
    ("status", "body", "kind", "names"),
    [
        (200, {"data": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}, Listed.OK, ["a", "b"]),
        (200, {"data": [{"model_name": "a", "model_info": {"mode": "chat"}}]}, Listed.OK, ["a"]),
        (200, [{"id": "vendor/a"}], Listed.OK, ["vendor/a"]),
        (200, {"models": [{"name": "a:latest"}, "b"]}, Listed.OK, ["a:latest", "b"]),
        (200, {"data": []}, Listed.EMPTY, []),
        (200, [], Listed.EMPTY, []),
        (200, {"data": [{"id": ""}, 7, {"id": 3}]}, Listed.MALFORMED, []),
        (200, {}, Listed.MALFORMED, []),
        (200, "<html>", Listed.MALFORMED, []),
        (200, b'{"data": [{"id": "a', Listed.MALFORMED, []),
        (401, {}, Listed.REFUSED, []),
        (403, {}, Listed.FORBIDDEN, []),
        (404, {}, Listed.UNSUPPORTED, []),
        (500, {}, Listed.UNREACHABLE, []),
        (None, "ConnectError: refused", Listed.UNREACHABLE, []),
    ],
)
def test_a_list_is_read_in_any_shape_and_no_failure_is_an_empty_list(
    status: int | None, body: Any, kind: Listed, names: list[str]
) -> None:
    read = read_list(status, body if isinstance(body, bytes) else json.dumps(body).encode(), "as told")
    assert (read.kind, [offer.name for offer in read.offers]) == (kind, names)
    assert status == 200 or read.detail == "as told"


def test_of_several_sources_the_first_with_names_counts_and_any_may_know_the_mode() -> None:
    names = Listing(Listed.OK, (OfferedModel("m"), OfferedModel("e")))
    modes = Listing(Listed.OK, (OfferedModel("e", "embedding"), OfferedModel("other", "chat")))
    closed, empty, away = (Listing(kind) for kind in (Listed.FORBIDDEN, Listed.EMPTY, Listed.UNREACHABLE))
    assert merged([names, modes]).offers == (OfferedModel("m"), OfferedModel("e", "embedding"))
    assert merged([closed, modes]) == modes
    assert merged([away, closed]) == closed
    assert merged([closed, empty]) == empty, "none allowed is an answer, not allowed to ask is none"
    assert merged([]).kind is Listed.UNSUPPORTED


def test_what_does_not_answer_in_words_does_no_job() -> None:
    offers = [
        OfferedModel("a", "chat"),
        OfferedModel("b", "embedding"),
        OfferedModel("text-embedding-3"),
        OfferedModel("sonnet-embeddings-9"),
        OfferedModel("m"),
        OfferedModel("x-tts", "chat"),
    ]
    assert chats(offers) == ("a", "m", "x-tts")
