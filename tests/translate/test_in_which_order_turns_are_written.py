"""Which turns an endpoint is given: each call answered directly after the turn that made it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.caps import Caps
from holdfast.translate.form import Call, Part, Result, Role, Text, Turn
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.turns import leading_words, paired, told_by_the_user
from tables import rows

ROLES = {"s": Role.SYSTEM, "u": Role.USER, "a": Role.ASSISTANT}


def _part(word: str) -> Part:
    """Read `+x` as a call x, `=x` as its result, anything else as text."""
    if word[0] == "+":
        return Call(word[1:], "tool")
    if word[0] == "=":
        return Result(word[1:], (Text("done"),))
    return Text(word)


def _turns(script: str) -> list[Turn]:
    turns = [turn.partition(":") for turn in script.split()]
    return [Turn(ROLES[role], tuple(map(_part, parts.split(",")))) for role, _, parts in turns]


def _word(part: Part) -> str:
    match part:
        case Call(id=name):
            return f"+{name}"
        case Result(call=name, parts=(Text(text="interrupted"),)):
            return f"={name}!"
        case Result(call=name):
            return f"={name}"
        case Text(text=text):
            return text
    raise AssertionError(part)


def _script(turns: list[Turn]) -> str:
    return " ".join(f"{turn.role.value[0]}:{','.join(map(_word, turn.parts))}" for turn in turns)


@rows(
    ("given", "written"),
    [
        ("u:hi a:yes", "u:hi a:yes"),
        ("u:a u:b a:c a:d", "u:a,b a:c,d"),
        ("u:go a:+x u:=x a:end", "u:go a:+x u:=x a:end"),
        ("u:go a:+x,+y u:=y u:=x u:and", "u:go a:+x,+y u:=x,=y,and"),
        ("u:go a:+x u:wait,=x", "u:go a:+x u:=x,wait"),
        ("u:go a:+x u:wait u:=x", "u:go a:+x u:=x,wait"),
        ("u:go a:+x s:mind u:=x", "u:go a:+x u:=x s:mind"),
        ("u:go a:+x a:text u:=x", "u:go a:+x,text u:=x"),
        ("u:go a:+x u:=x a:+y u:=y", "u:go a:+x u:=x a:+y u:=y"),
        ("u:go a:+x u:oh a:text u:=x", "u:go a:+x u:=x,oh a:text"),
        ("u:go a:+x,+y u:=x a:text u:=y", "u:go a:+x,+y u:=x,=y a:text"),
        ("u:go a:+x", "u:go a:+x u:=x!"),
        ("u:go a:+x,+y u:=y u:on", "u:go a:+x,+y u:=x!,=y,on"),
    ],
)
def test_turns_come_in_the_order_that_endpoints_want(given: str, written: str) -> None:
    losses = Losses()
    assert _script(paired(_turns(given), Caps(), losses)) == written
    assert losses.names == (("fill_missing",) if "!" in written else ())


@rows(
    ("script", "why"),
    [
        ("u:go u:=x", "no call before it has the id 'x'"),
        ("u:=x a:+x", "no call before it has the id 'x'"),
        ("u:go a:+x u:=x,=x", "the call 'x' has a result already"),
    ],
)
def test_a_result_without_a_call_is_refused(script: str, why: str) -> None:
    with pytest.raises(Untranslatable, match=why):
        paired(_turns(script), Caps(), Losses())


def test_a_call_without_a_result_is_refused_where_none_may_be_filled_in() -> None:
    with pytest.raises(Untranslatable, match="the call 'x' of 'tool' has no result"):
        paired(_turns("u:go a:+x u:on"), Caps(fill_missing=False), Losses())


def test_calls_with_one_id_are_paired_by_their_places() -> None:
    made = paired(_turns("u:go a:+x u:=x a:+x,+x u:=x,=x"), Caps(), Losses())
    ids = [part.id for turn in made for part in turn.parts if isinstance(part, Call)]
    answered = [part.call for turn in made for part in turn.parts if isinstance(part, Result)]
    assert len(set(ids)) == 3
    assert ids == answered
    assert ids[0] == "x"


def test_ids_are_such_as_the_endpoint_takes() -> None:
    made = paired(_turns("u:go a:+call|1 u:=call|1"), Caps(call_id="mistral"), Losses())
    call, result = made[1].parts[0], made[2].parts[0]
    assert isinstance(call, Call)
    assert isinstance(result, Result)
    assert call.id == result.call
    assert len(call.id) == 9
    assert call.id.isalnum()


def test_later_words_of_the_system_are_told_in_marks() -> None:
    losses = Losses()
    first, others = leading_words(_turns("s:be s:kind u:hi s:mind u:go"))
    assert _script(first) == "s:be s:kind"
    turns = told_by_the_user(others, Caps(), losses)
    texts = [part.text for turn in turns for part in turn.parts if isinstance(part, Text)]
    assert texts == ["hi", "<system-reminder>\nmind\n</system-reminder>", "go"]
    assert losses.names == ("mid_system",)


def test_later_words_of_the_system_stay_where_the_endpoint_takes_them() -> None:
    losses = Losses()
    turns = told_by_the_user(_turns("u:hi s:mind"), Caps(mid_system=True), losses)
    assert _script(turns) == "u:hi s:mind"
    assert losses.names == ()


def test_empty_words_of_the_system_are_left_out() -> None:
    turn = Turn(Role.SYSTEM, (Text(" \n"),))
    losses = Losses()
    assert [made.parts for made in told_by_the_user([turn], Caps(), losses)] == [()]
    assert losses.names == ()


CALLS = st.sampled_from(["x", "y", "z"])
PARTS = {
    Role.USER: st.one_of(st.builds(Text, st.just("t")), st.builds(Result, CALLS, st.just(()))),
    Role.ASSISTANT: st.one_of(st.builds(Text, st.just("t")), st.builds(Call, CALLS, st.just("tool"))),
}
TURNS = st.lists(
    st.sampled_from(list(PARTS)).flatmap(
        lambda role: st.lists(PARTS[role], max_size=4).map(lambda parts: Turn(role, tuple(parts)))
    ),
    max_size=6,
)


@given(TURNS)
def test_each_call_is_answered_directly_and_nothing_is_lost(turns: list[Turn]) -> None:
    try:
        made = paired(turns, Caps(), Losses())
    except Untranslatable:
        return
    assert all(first.role is not second.role for first, second in itertools.pairwise(made))
    ids = []
    for turn, following in itertools.pairwise([*made, Turn(Role.USER, ())]):
        calls = [part.id for part in turn.parts if isinstance(part, Call)]
        results = [part.call for part in following.parts[: len(calls)] if isinstance(part, Result)]
        assert results == calls
        ids += calls
    assert len(ids) == len(set(ids))
    assert _texts(made) == _texts(turns)
    again = paired(made, Caps(), Losses())
    assert [dataclasses.replace(turn, at="") for turn in again] == [
        dataclasses.replace(turn, at="") for turn in made
    ]


def _texts(turns: list[Turn]) -> int:
    return sum(isinstance(part, Text) for turn in turns for part in turn.parts)
