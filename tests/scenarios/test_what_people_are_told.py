"""What people read when a request fails: every class, in every situation, each verb backed by an attempt,
each command one that runs."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from random import Random

import click
import pytest

from core.life import born, step
from holdfast.cli import app
from holdfast.core.faults import FaultClass, Phase
from holdfast.core.steps import Refresh, Send
from holdfast.values.fault_texts import NEXT, WHAT
from scenarios.messages import FILE, explanation_of, messages, text

SHAPE = re.compile(
    r"\S.*[.?]\n\S+ → \S+ · \S+ · .+\nTried: .+\.\nNext: .+: holdfast [a-z].*(?:\n(?:The provider "
    r"said|The error was).+)?"
)
WORDS = {
    "provider": "plan",
    "ref": "env:A",
    "host": "plan.example",
    "again": "holdfast key reset plan a",
    "check": "holdfast check plan/m1",
}
WORDS |= {
    "choose": "holdfast session pin work PROVIDER/MODEL",
    "models": "holdfast models --provider plan",
    "why": "holdfast why work",
}
WORDS |= {"show": "holdfast provider show plan"}


def test_the_messages_are_those_that_were_read() -> None:
    assert FILE.read_text("utf-8") == text(), (
        "read what changed: (cd tests; python -m scenarios.messages --write; git diff)"
    )


def test_every_class_is_explained_in_four_lines_that_end_with_a_command() -> None:
    explanations = [(title, str(explanation)) for title, _, explanation in messages()]
    assert {FaultClass(title.partition(":")[0].partition(" ")[0]) for title, _ in explanations} == set(
        FaultClass
    )
    assert not [text for _, text in explanations if not SHAPE.fullmatch(text)]


def parsed(command: str) -> str:
    """The command that the real command line makes of this; raises click's error when it would refuse it."""
    first, *words = shlex.split(command)
    assert first == "holdfast"
    context, parser = click.Context(app, info_name=first), app
    while isinstance(parser, click.Group):
        name, parser, words = parser.resolve_command(context, words)  # type: ignore[assignment]
        assert parser is not None
        context = (
            click.Context(parser, info_name=name, parent=context)
            if isinstance(parser, click.Group)
            else context
        )
    with parser.make_context(parser.name, words, parent=context):
        return str(parser.name)


def test_every_command_in_a_message_is_one_that_the_command_line_has() -> None:
    commands = {explanation.command for _, _, explanation in messages()} | {
        command.format_map(WORDS) for _, command in NEXT.values()
    }
    assert len({parsed(command) for command in commands}) >= 6
    with pytest.raises(click.ClickException):
        parsed("holdfast key reset")


def test_every_sentence_has_a_next_step() -> None:
    assert not [
        (kind, case)
        for kind, cases in WHAT.items()
        for case in cases
        if case not in NEXT and kind not in NEXT
    ]


@pytest.mark.parametrize("seed", range(8))
def test_every_verb_is_backed_by_an_attempt(seed: int) -> None:
    """Long lives of sessions (core/life.py): whatever a message says was done is among the steps that were
    taken."""
    jitter, seen = Random(seed), 0
    life = born(jitter)
    for number in range(400):
        if number % 80 == 0:
            life = born(jitter)
        life.outcome = None
        step(life, jitter)
        if life.outcome is None or life.outcome.fault is None:
            continue
        seen += 1
        text, steps = str(explanation_of(life.sim, life.outcome)), life.sim.steps
        sends = [step for step in steps if isinstance(step, Send)]
        sent = [
            attempt
            for attempt in life.outcome.attempts
            if attempt.fault is None or attempt.fault.phase is not Phase.UNSENT
        ]
        assert len(sent) == len(sends)
        same = [after.connection == before.connection for before, after in pairwise(sent)]
        keys = [
            after.connection.pin == before.connection.pin and after.connection != before.connection
            for before, after in pairwise(sent)
        ]
        pins = [after.connection.pin != before.connection.pin for before, after in pairwise(sent)]
        read_again = [step for step in steps if isinstance(step, Refresh) and step.fingerprint is not None]
        backed = {
            "nothing was sent": not sends,
            "asked again after": any(same),
            "switched to another key": any(keys),
            "fell back to": any(pins),
            "to test a key that had worked": any(send.probe for send in sends),
            "the key had been replaced meanwhile": bool(read_again),
            "could not be read": len(life.outcome.attempts) > len(sent),
            "is remembered": life.outcome.from_memory,
        }
        assert not [words for words, holds in backed.items() if words in text and not holds], text
        if not sends:
            assert "nothing was sent" in text
        total = re.search(r"Tried: (\d+) requests over", text)
        assert total is None or int(total[1]) == len(sends)
        assert sum(int(count) for count in re.findall(r"(\d+) requests? with", text)) == len(sends)
        assert not re.search(r"\b(?:retried|probed|rotated|refreshed|repeated)\b", text), (
            "no other verb claims an action"
        )
    assert seen > 30
