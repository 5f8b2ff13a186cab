"""Labels that last: how a key is called without one, and what becomes of positions that older software
stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.config import Config
from holdfast.core.identity import Key, Pin, ProviderName
from holdfast.core.session import Session
from holdfast.engine.home_store import with_lasting_labels
from holdfast.values.key_labels import label_of
from world import provider

WRITTEN, NOW = 1000.0, 2000.0
REFERENCES = ("env:A", "file:~/b", "cmd:print c", "store:k9", "env:_D")
"""Older software called the second, the third and the fifth of these k2, k3 and k5."""


def keys(*references: str, **labels: str) -> tuple[Key, ...]:
    owner = ProviderName("team")
    return tuple(Key(owner, labels.get(ref.partition(":")[0]) or label_of(ref), ref) for ref in references)


def config(*of: Key) -> Config:
    return Config(providers={ProviderName("team"): provider("team", keys=of)})


def chosen(
    key: str | None, *, kept: str | None = None, changed_at: float = 1500.0, pin: str = "team/m"
) -> Session:
    return Session("s", Pin.parse(pin), key, kept_key=kept, changed_at=changed_at)


def now_called(
    session: Session, of: Config | None = None, renamed: tuple[str, ...] = ()
) -> tuple[str | None, str | None]:
    """The chosen and the kept label of a session afterwards. Nothing else of it may change."""
    changed = with_lasting_labels(
        of or config(*keys(*REFERENCES)), [session], unchanged_since=WRITTEN, now=NOW, renamed=renamed
    )
    for before, after in changed:
        assert before == session
        assert after == replace(session, key=after.key, kept_key=after.kept_key) != session
    last = changed[0][1] if changed else session
    return last.key, last.kept_key


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("k2", label_of("file:~/b")),
        ("k3", label_of("cmd:print c")),
        ("k5", label_of("env:_D")),
        ("k1", "k1"),  # that key was called A
        ("k4", "k4"),  # and that one k9
        ("k6", "k6"),  # there was no sixth
        ("k9", "k9"),
        ("A", "A"),
        ("gone", "gone"),
        (None, None),
    ],
)
def test_a_chosen_position_becomes_the_label_of_the_key_that_stood_there(
    key: str | None, label: str | None
) -> None:
    assert now_called(chosen(key)) == (label, None)


@pytest.mark.parametrize(
    "session",
    [
        chosen("k2", changed_at=WRITTEN),
        chosen("k2", changed_at=WRITTEN - 1),
        chosen("k2", changed_at=NOW + 1),
        chosen("k2", pin="lost/m"),
    ],
    ids=[
        "as it was written",
        "before it was written",
        "by a clock that is ahead",
        "of a provider that is gone",
    ],
)
def test_a_choice_stays_as_it_is_where_its_key_is_unclear(session: Session) -> None:
    assert now_called(session) == ("k2", None)


def test_a_choice_whose_time_is_that_of_a_renaming_stays_as_it_is() -> None:
    assert now_called(chosen("k2"), renamed=("s",)) == ("k2", None)
    assert now_called(chosen("k2"), renamed=("another",)) == (label_of("file:~/b"), None)


@pytest.mark.parametrize("session", [chosen("k2"), chosen(None, kept="k2")], ids=["chosen", "kept"])
def test_a_label_of_the_user_s_own_that_reads_like_a_position_is_a_label(session: Session) -> None:
    assert now_called(session, config(*keys("file:~/b", "cmd:c", cmd="k2"))) == (
        session.key,
        session.kept_key,
    )


@pytest.mark.parametrize("changed_at", [WRITTEN - 1, WRITTEN + 1])
def test_a_kept_position_is_forgotten_and_every_other_kept_key_stays(changed_at: float) -> None:
    assert now_called(chosen(None, kept="k2", changed_at=changed_at)) == (None, None)
    assert now_called(chosen(None, kept="k7", changed_at=changed_at, pin="lost/m")) == (None, None)
    assert now_called(chosen(None, kept="k9", changed_at=changed_at)) == (None, "k9")
    assert now_called(chosen(None, kept="gone", changed_at=changed_at)) == (None, "gone")
    assert now_called(chosen("A", kept="k3", changed_at=changed_at)) == ("A", None)


@given(st.permutations(REFERENCES), st.integers(1, len(REFERENCES)))
def test_a_chosen_position_never_becomes_another_key_than_the_one_there(
    order: list[str], position: int
) -> None:
    written = keys(*order)
    label, _ = now_called(chosen(f"k{position}"), config(*written))
    assert label in (f"k{position}", written[position - 1].label)
