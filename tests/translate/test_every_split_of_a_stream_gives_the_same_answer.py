"""Streams that chance makes up: whatever the pieces and their order, the caller has the whole answer.

`make nightly` tries 100,000 of them."""

from __future__ import annotations

import os
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.events import fold
from tables import rows
from translate.stream_folds import FOLDS
from translate.stream_lint import LINTS
from translate.stream_scripts import Script, events, script
from translate.streams import WRITERS, read, write_fast

SCRIPTS = int(os.environ.get("SCRIPTS", "60"))
"""How many made-up streams the tests by numbers try."""
CHANCE = st.randoms(use_true_random=False)


def _comes_whole(made: Script) -> None:
    got = read(made.chunks)
    assert fold(got).parts == fold(read(made.at_once)).parts
    for dialect in WRITERS:
        out = write_fast(got, dialect)
        assert LINTS[dialect](out) == ([], "whole"), dialect
        if dialect in FOLDS:
            assert FOLDS[dialect](out) == made.fold(dialect)


def _breaks(made: Script, cut: int) -> None:
    got = read(made.chunks[:cut], done=False)
    for dialect in WRITERS:
        assert LINTS[dialect](write_fast(got, dialect)) == ([], "error"), dialect


def _is_written(rng: Random) -> None:
    parts, given_events = events(rng)
    for dialect in WRITERS:
        out = write_fast(given_events, dialect)
        assert LINTS[dialect](out) == ([], "whole"), dialect
        if dialect in FOLDS:
            assert sorted(FOLDS[dialect](out)) == sorted(Script(parts, []).fold(dialect))


@given(rng=CHANCE)
def test_every_split_gives_the_same_answer(rng: Random) -> None:
    _comes_whole(script(rng))


@given(rng=CHANCE)
def test_no_cut_gives_a_success(rng: Random) -> None:
    made = script(rng)
    _breaks(made, rng.randrange(len(made.chunks) + 1))


@given(rng=CHANCE)
def test_parts_that_are_open_at_once_do_not_mix(rng: Random) -> None:
    _is_written(rng)


@rows("quarter", range(4))
def test_many_streams_by_number_give_their_answers(quarter: int) -> None:
    for seed in range(quarter, SCRIPTS, 4):
        rng = Random(seed)
        made = script(rng)
        try:
            _comes_whole(made)
            _breaks(made, rng.randrange(len(made.chunks) + 1))
            _is_written(rng)
        except Exception as error:
            error.add_note(f"stream {seed}")
            raise
