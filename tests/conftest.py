"""What holds for every test: nothing leaves this machine, nothing of the developer's own environment or home
gets in."""

from __future__ import annotations

import functools
import gc
import ipaddress
import itertools
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import given, settings, strategies

import quiet_workers
from children import forker
from holdfast.fake_provider import ScriptedProvider
from holdfast.store import sqlite

# Thousands of collected tests live to the end, and each full collection of garbage would visit them all.
gc.set_threshold(50_000, 20, 100)
# Signals that end a program do so in our children too, also where the tests run in the background, which
# begins with these ignored.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)


def pytest_configure(config: pytest.Config) -> None:
    quiet_workers.report_what_is_read(config)


# Files in memory are made and removed in a twentieth of the time, and a test's data survive no crash anyway.
_MEMORY = Path("/dev/shm")
_ENOUGH = 4 << 30
"""Bytes that must be free there: the tests leave some hundred megabytes, and pytest keeps its last runs."""


def _can_hold_our_files(directory: Path) -> bool:
    """Return whether a directory has room for the files of the tests, and lets them be run."""
    if not os.access(directory, os.W_OK):
        return False
    there = os.statvfs(directory)
    return there.f_bavail * there.f_frsize >= _ENOUGH and not there.f_flag & os.ST_NOEXEC


if _can_hold_our_files(_MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


# No deadline: the machines that run this are shared. The examples are the same in every run; the mutants are
# shown to twice as many, and HYPOTHESIS_PROFILE=search (`make nightly`) looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True, database=None, max_examples=50)
settings.register_profile("thorough", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the thousands of collected tests: only at what tests make."""
    _look_for_the_generator()
    gc.freeze()


@given(strategies.none())
def _look_for_the_generator(_: None) -> None:
    """Have hypothesis find the holder of its generator, once, while that is still among all objects."""


# Each client of httpx reads the authorities of the whole web (40 ms). They vouch for nobody on this machine.
_PUBLIC_AUTHORITIES = {*ssl.get_default_verify_paths(), certifi.where()} - {None}
_READ_AUTHORITIES = ssl.SSLContext.load_verify_locations


def _read_private_authorities(
    self: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None
) -> None:
    if cafile not in _PUBLIC_AUTHORITIES:
        _READ_AUTHORITIES(self, cafile, capath, cadata)


ssl.SSLContext.load_verify_locations = _read_private_authorities  # type: ignore[method-assign]

# Keys, endpoints, proxies, our own settings, and the hook by which coverage would slow down every child that
# a test starts.
_FOREIGN = re.compile(
    r"HOLDFAST_.*|PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|XDG_.*|COVERAGE_.*"
    r"|.*_(API_KEY|API_BASE|BASE_URL|AUTH_TOKEN|ACCESS_TOKEN)|(HTTPS?|ALL|NO)_PROXY",
    re.IGNORECASE,
)


_FAST_PATH = os.environ.get("HOLDFAST_FAST_PATH", "")
"""`off` in `make nightly`: what the tests say has to be true without the fast path, too."""


@functools.cache
def _is_foreign(name: str) -> bool:
    return _FOREIGN.fullmatch(name) is not None


_LOCAL_NAMES = frozenset({"localhost", "", "0.0.0.0", "::"})


def _is_local(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    if text in _LOCAL_NAMES or text.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


_CONNECTS = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
_LOOK_UP = socket.getaddrinfo


def _guarded(name: str) -> Any:
    """Return the method of a socket that refuses to leave this machine."""
    original = _CONNECTS[name]

    def call(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            pytest.fail(f"this test tried to reach {address[0]}:{address[1]}")
        return original(self, *args)

    return call


def _guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
    if not _is_local(host):
        pytest.fail(f"this test tried to look up {host}")
    return _LOOK_UP(host, *args, **kwargs)


_GUARDS = {name: _guarded(name) for name in _CONNECTS}


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """What each test finds. One fixture, since each costs each of the thousands of tests its part.

    A connection or name look-up that would leave this machine fails the test, whatever the code under test
    catches. A new database is a copy of one that was built as usual, in a third of the time; the tests of the
    store build each. The process that forks children ends with the tests. Gives directories in which
    nothing is: the same one again until a test has put something into it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, guard in _GUARDS.items():
            patch.setattr(socket.socket, name, guard)
        patch.setattr(socket, "getaddrinfo", _guarded_look_up)
        content = _new_database(tmp_path_factory.mktemp("database") / "state.db")
        patch.setattr(sqlite, "_build", lambda path: path.write_bytes(content))
        yield _empty_directories(tmp_path_factory.mktemp("homes"))
    forker.end()


def _new_database(path: Path) -> bytes:
    path.touch()
    sqlite._build(path)
    return path.read_bytes()


def _empty_directories(parent: Path) -> Iterator[Path]:
    for number in itertools.count():
        home = parent / str(number)
        home.mkdir()
        while home.is_dir() and not any(home.iterdir()):
            yield home


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, surroundings: Iterator[Path]) -> Path:
    """An environment without keys, endpoints, proxies and settings, and a home of the test's own. Gives
    HOLDFAST_HOME, which does not exist yet."""
    for name in filter(_is_foreign, list(os.environ)):
        monkeypatch.delenv(name)
    home = next(surroundings)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HOLDFAST_HOME", str(home / "holdfast"))
    monkeypatch.setenv("NO_COLOR", "1")
    if _FAST_PATH:
        monkeypatch.setenv("HOLDFAST_FAST_PATH", _FAST_PATH)
    return home / "holdfast"


@pytest.fixture
def home(clean_environment: Path) -> Path:
    """HOLDFAST_HOME of this test, made and empty."""
    clean_environment.mkdir(mode=0o700)
    return clean_environment


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """A provider on loopback that answers by script, and well without one."""
    with ScriptedProvider() as server:
        yield server
