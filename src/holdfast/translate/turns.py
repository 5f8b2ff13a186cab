"""The turns of a request in the order that endpoints want: users and models in turn, and each call answered
directly after the turn that made it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from .caps import Caps
from .context import Target
from .form import ASSISTANT, SYSTEM, USER, Call, Part, Request, Result, Role, Text, Turn
from .losses import Losses
from .names import call_id

INTERRUPTED = "interrupted"


def leading_words(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Return the system's turns before all others, and the others. If there are none, the system's last is
    one, since somebody has to say something."""
    number = 0
    while number < len(turns) and turns[number].role is SYSTEM:
        number += 1
    if number and number == len(turns):
        number -= 1
    return list(turns[:number]), list(turns[number:])


def words_first(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """Return the words that the system says before all others, and the other turns (`leading_words`)."""
    first, others = leading_words(turns)
    words = [part.text for turn in first for part in turn.parts if isinstance(part, Text)]
    return "\n\n".join(word for word in words if word.strip()), others


def check_end(last: str, at: str, request: Request, target: Target) -> None:
    """Refuse a conversation in which nothing is said (`last` is ""), or whose `last` speaker is the model,
    unless the endpoint goes on from there."""
    if not last:
        target.losses.refuse(request.path("messages"), "there is nothing to answer")
    if last == ASSISTANT.value and not target.caps.prefill:
        why = "the endpoint does not continue an answer that the request begins"
        target.losses.refuse(at, why, "end the request with a user's message")


def told_by_the_user(turns: Iterable[Turn], caps: Caps, losses: Losses) -> list[Turn]:
    """Return turns in which the system's words are the user's, in marks, unless the endpoint takes them
    in the middle. Their place stays, so that what was cached before it keeps its use."""
    if caps.mid_system:
        return list(turns)
    return [turn if turn.role is not SYSTEM else _in_marks(turn, losses) for turn in turns]


def _in_marks(turn: Turn, losses: Losses) -> Turn:
    words = [part.text for part in turn.parts if isinstance(part, Text) and part.text.strip()]
    if not words:
        return replace(turn, role=USER, parts=())
    losses.less("mid_system", turn.at)
    text = "<system-reminder>\n" + "\n\n".join(words) + "\n</system-reminder>"
    return replace(turn, role=USER, parts=(Text(text, turn.at),))


class _Group:
    """Turns of one speaker that become one. `results` are those of its calls, by their index in `calls`."""

    __slots__ = ("at", "calls", "parts", "results", "role")

    def __init__(self, role: Role, at: str) -> None:
        self.role, self.at = role, at
        self.parts: list[Part] = []
        self.calls: list[tuple[str, Call]] = []
        self.results: dict[int, Result] = {}


class _Pairing:
    def __init__(self, caps: Caps, losses: Losses) -> None:
        self._caps, self._losses, self._rule = caps, losses, caps.call_id
        self.groups: list[_Group] = []
        self._open: dict[str, list[tuple[_Group, deque[int]]]] = {}
        self._made: dict[str, int] = {}
        self._used: set[str] = set()

    def take(self, turn: Turn) -> None:
        """Take the next turn: its results go to their calls, the rest joins the speaker's turn before."""
        group: _Group | None = None
        for part in turn.parts:
            if type(part) is Result:
                self._answer(part)
                continue
            group = group or self._group(turn)
            if type(part) is Call:
                self._call(group, part)
            else:
                group.parts.append(part)

    def _group(self, turn: Turn) -> _Group:
        groups = self.groups
        if not groups or groups[-1].role is not turn.role or groups[-1].results:
            groups.append(_Group(turn.role, turn.at))
        return groups[-1]

    def _call(self, group: _Group, call: Call) -> None:
        wire = self._unused(call.id)
        index, open_calls = len(group.calls), self._open.get(call.id)
        if not open_calls:
            self._open[call.id] = [(group, deque((index,)))]
        elif open_calls[-1][0] is group:
            open_calls[-1][1].append(index)
        else:
            open_calls.append((group, deque((index,))))
        group.calls.append((wire, call))
        if wire != call.id:
            call = replace(call, id=wire)
        group.parts.append(call)

    def _unused(self, given: str) -> str:
        times, wire = self._made.get(given, 0), call_id(given, self._rule)
        while wire in self._used:
            times += 1
            wire = call_id(given, self._rule, f"#{times}")
        self._made[given] = times
        self._used.add(wire)
        return wire

    def _answer(self, result: Result) -> None:
        """Give a result to the first call without one, of the last turn that has one by that id."""
        open_calls = self._open.get(result.call)
        if not open_calls:
            self._losses.refuse(result.at, _orphan(result.call, known=result.call in self._made))
        group, indices = open_calls[-1]
        index = indices.popleft()
        if not indices:
            open_calls.pop()
        wire = group.calls[index][0]
        if wire != result.call:
            result = replace(result, call=wire)
        group.results[index] = result

    def results(self, group: _Group) -> tuple[Result, ...]:
        """Return the results of a group's calls. One that is not there is made up. Raises Untranslatable
        where that may not be."""
        for index, (wire, call) in enumerate(group.calls):
            if index in group.results:
                continue
            if not self._caps.fill_missing:
                self._losses.refuse(call.at, f"the call '{call.id}' of '{call.name}' has no result")
            self._losses.less("fill_missing", call.at)
            group.results[index] = Result(wire, (Text(INTERRUPTED, call.at),), at=call.at)
        return tuple([group.results[index] for index in range(len(group.calls))])


def _orphan(call: str, *, known: bool) -> str:
    if known:
        return f"the call '{call}' has a result already"
    return f"no call before it has the id '{call}'"


def paired(turns: Iterable[Turn], caps: Caps, losses: Losses) -> list[Turn]:
    """Return the turns so that neighbours differ in their speaker (but for the system's), ids of calls are
    unique and such as the endpoint takes, and the results of a turn's calls, in their order, begin the user's
    turn that follows it. Raises Untranslatable about a result without a call."""
    pairing = _Pairing(caps, losses)
    for turn in turns:
        pairing.take(turn)
    made: list[Turn] = []
    for group in pairing.groups:
        _join(made, Turn(group.role, tuple(group.parts), group.at))
        if group.calls:
            results = pairing.results(group)
            _join(made, Turn(USER, results, results[0].at))
    return made


def _join(made: list[Turn], turn: Turn) -> None:
    """Add a turn, to the one before it if both are the user's."""
    if made and turn.role is USER and made[-1].role is USER:
        turn = Turn(USER, made[-1].parts + turn.parts, made[-1].at)
        made.pop()
    made.append(turn)
