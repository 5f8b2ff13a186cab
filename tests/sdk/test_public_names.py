"""The public interface: what is exported, how it shows itself, and what it says of wrong arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.core import errors
from holdfast.distribution import version
from holdfast.store import base as store
from tables import rows

KEY = "sk-key-one-1234567"
OWN = [holdfast.Holdfast, holdfast.Session]
FROM_ELSEWHERE = frozenset(
    "Any AsyncBaseTransport BaseTransport BaseException Callable Mapping ModuleType None Path Self Sequence "
    "SSLContext TracebackType".split()
)


@pytest.fixture
def hf(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[holdfast.Holdfast]:
    monkeypatch.setenv("K1", KEY)
    (home / "holdfast.toml").write_text('[provider.mimo]\nurl = "http://127.0.0.1:9/v1"\nkeys = ["env:K1"]\n')
    with holdfast.open() as opened:
        yield opened


def _public_calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "open", holdfast.open
    for owner in OWN:
        for name, member in inspect.getmembers(owner):
            if isinstance(member, property):
                member = member.fget  # noqa: PLW2901
            if not name.startswith("_") and inspect.isfunction(member):
                yield f"{owner.__name__}.{name}", member


CALLS = dict(_public_calls())
every_call = pytest.mark.parametrize("name", CALLS)


@rows("name", holdfast.__all__)
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(holdfast, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert len(inspect.getdoc(value) or "") > 15


def test_the_version_is_that_of_the_distribution_and_no_name_is_invented() -> None:
    assert holdfast.__version__ == version()
    assert dir(holdfast) == sorted(holdfast.__all__)
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        holdfast.opne  # type: ignore[attr-defined]  # noqa: B018


@every_call
def test_every_public_call_says_first_what_it_does(name: str) -> None:
    assert re.match(r"(Change|Close|End|Open|Resume|Return) ", inspect.getdoc(CALLS[name]) or "")


@every_call
def test_every_type_that_a_public_call_takes_or_returns_is_exported(name: str) -> None:
    words = set(re.findall(r"\b[A-Z]\w+", " ".join(CALLS[name].__annotations__.values())))
    assert words - FROM_ELSEWHERE - {"ConnectionPools", "OpenHome"} <= set(holdfast.__all__)


@every_call
def test_every_error_that_a_public_call_names_is_exported(name: str) -> None:
    _, _, raised = (inspect.getdoc(CALLS[name]) or "").partition("Raises ")
    ours = {
        word for word in re.findall(r"\b[A-Z]\w+", raised) if hasattr(errors, word) or hasattr(store, word)
    }
    assert ours <= set(holdfast.__all__)


def test_every_kind_of_event_and_every_error_is_exported() -> None:
    from holdfast.store.journal_events import KINDS

    raised = [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)
    ]
    assert {each.__name__ for each in [*KINDS, *raised]} <= set(holdfast.__all__)


def test_no_repr_of_a_public_value_shows_a_key_or_asks_the_store(hf: holdfast.Holdfast) -> None:
    session = hf.session("s1", "mimo/m1")
    values = [
        hf.config,
        session.row,
        session.attempts(),
        session.origin(),
        session.for_openai(),
        hf.engine.vault,
    ]
    shown = [*map(repr, values), repr(session.transport()), repr(hf.config.providers)]
    hf.engine.store.remove_session("s1")
    shown += [repr(hf), repr(session), str(session)]
    assert KEY not in " ".join(shown)
    path = hf.engine.home.config
    assert shown[-3:-1] == [f"<holdfast.Holdfast at {path}>", f"<holdfast.Session 's1' of {path}>"]


MISTAKES: dict[str, tuple[Callable[[holdfast.Holdfast], Any], type[Exception], str]] = {
    "a list of keys": (
        lambda hf: holdfast.open(keys=[KEY]),  # type: ignore[arg-type]
        TypeError,
        "keys must be a mapping such as {'corp': function}, not list",
    ),
    "a key itself": (
        lambda hf: holdfast.open(keys={"corp": KEY}),  # type: ignore[dict-item]
        TypeError,
        "keys['corp'] must be a function that returns the key, not str",
    ),
    "a name that is no text": (
        lambda hf: holdfast.open(keys={1: str}),  # type: ignore[dict-item]
        TypeError,
        "a name in keys must be a string, not int",
    ),
    "a home that is missing": (
        lambda hf: holdfast.open(hf.engine.home.config.parent / "lost"),
        holdfast.ConfigError,
        "run: mkdir -p '",
    ),
    "a home that is a file": (
        lambda hf: holdfast.open(str(hf.engine.home.config)),
        holdfast.ConfigError,
        "holdfast.toml' is no directory, so no home can be opened there",
    ),
    "a home that is a number": (
        lambda hf: holdfast.open(7),  # type: ignore[arg-type]
        TypeError,
        "home must be a path or a holdfast.Home, not int",
    ),
    "no session": (
        lambda hf: hf.session(None),  # type: ignore[arg-type]
        TypeError,
        "session_id must be a string, not NoneType",
    ),
    "a pin that is a number": (
        lambda hf: hf.session("q", 123),  # type: ignore[arg-type]
        TypeError,
        "a pin must be a string such as 'provider/model' or a holdfast.Pin, not int",
    ),
    "a session as a pin": (
        lambda hf: hf.session("q", hf.session("s", "mimo/m")),  # type: ignore[arg-type]
        TypeError,
        "a holdfast.Pin, not Session",
    ),
    "a pin without a model": (
        lambda hf: hf.session("q", "mimo"),
        holdfast.IdentityError,
        "write provider/model",
    ),
    "a label that is no text": (
        lambda hf: hf.session("q", "mimo/m", key=1),  # type: ignore[arg-type]
        TypeError,
        "key must be a string, not int",
    ),
    "a switch to nothing": (
        lambda hf: hf.session("q", "mimo/m").switch(None),  # type: ignore[arg-type]
        TypeError,
        "a pin must be a string",
    ),
    "a switch to a label that is no text": (
        lambda hf: hf.session("q", "mimo/m").switch("mimo/m", key=b"k"),  # type: ignore[arg-type]
        TypeError,
        "key must be a string, not bytes",
    ),
    "no events": (
        lambda hf: hf.session("q", "mimo/m").attempts(0),
        ValueError,
        "limit must be at least 1, not 0",
    ),
    "a text as a limit": (
        lambda hf: hf.session("q", "mimo/m").why("9"),  # type: ignore[arg-type]
        TypeError,
        "limit must be a whole number, not str",
    ),
    "the name of a module": (
        lambda hf: hf.session("q", "mimo/m").transport("httpx"),  # type: ignore[call-overload]
        TypeError,
        "module must be httpx2 or httpx, as a module, not 'httpx'",
    ),
    "another module": (
        lambda hf: hf.session("q", "mimo/m").async_transport(re),
        TypeError,
        "module must be httpx2 or httpx, as a module, not <module 're'",
    ),
    "a provider without a name": (
        lambda hf: hf.ensure_ready(None),  # type: ignore[arg-type]
        TypeError,
        "name must be a string, not NoneType",
    ),
    "a number as limits": (
        lambda hf: holdfast.open(limits=5),  # type: ignore[arg-type]
        TypeError,
        "limits must be an httpx2.Limits or httpx.Limits, not int",
    ),
    "a number as a proxy": (
        lambda hf: holdfast.open(proxy=8080),  # type: ignore[arg-type]
        TypeError,
        "proxy must be a URL as a string, not int",
    ),
    "a number as authorities": (
        lambda hf: holdfast.open(verify=1.5),  # type: ignore[arg-type]
        TypeError,
        "verify must be a path or an ssl.SSLContext, not float",
    ),
    "a path as a store": (
        lambda hf: holdfast.open(store="state.db"),  # type: ignore[arg-type]
        TypeError,
        "store must be a holdfast.Store, not str",
    ),
    "keys as a vault": (
        lambda hf: holdfast.open(vault={"corp": KEY}),  # type: ignore[arg-type]
        TypeError,
        "vault must be a holdfast.Vault, not dict",
    ),
    "a consent without a name": (
        lambda hf: hf.ensure_ready("amazee", consent=True),  # type: ignore[arg-type]
        TypeError,
        "consent must be a string, not bool",
    ),
    "a text as the patterns of a role": (
        lambda hf: hf.ensure_ready("amazee", {"chat": "gpt-*"}),
        TypeError,
        "roles['chat'] must be a list of patterns, not str",
    ),
    "a list of roles": (
        lambda hf: hf.ensure_ready("amazee", ["chat"]),  # type: ignore[arg-type]
        TypeError,
        "roles must be a mapping such as {'chat': ['gpt-*']}, not list",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_argument_is_refused_in_words_that_show_no_key(name: str, hf: holdfast.Holdfast) -> None:
    call, kind, words = MISTAKES[name]
    with pytest.raises(kind) as refused:
        call(hf)
    assert words in str(refused.value)
    assert KEY not in str(refused.value)
