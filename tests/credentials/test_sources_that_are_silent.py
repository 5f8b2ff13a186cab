"""A source that is silent refuses nothing: a file that is being written, a program that fails, a keyring that
is locked. It is looked at again, its last value goes on, and nobody waits for it beyond its deadline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import NotRenewed, SecretMissing, SourceSilent
from holdfast.core.identity import Key, ProviderName
from holdfast.credentials import SecretsFile, Vault, foreign_call
from holdfast.credentials.cached_source import CachedSource
from holdfast.credentials.foreign_call import ForeignCall
from holdfast.credentials.sources import Silent
from holdfast.values.secret import Secret

NOW = 1_000_000.0
GOOD = (0, b"a-good-key", b"")


class Bench:
    """A vault whose clock, program, keyring and function do what a test says."""

    def __init__(self, directory: Path) -> None:
        self.now, self.runs = NOW, 0
        self.answer: tuple[int, bytes, bytes] | Exception = GOOD
        self.directory = directory
        self.vault = Vault(
            directory / "secrets.toml",
            run=self.run,
            keyring=lambda: self,
            suppliers={"me": self.supply},
            clock=lambda: self.now,
            background=lambda work: None,
        )

    def run(self, argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
        self.runs += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get_password(self, service: str, user: str) -> str:
        return self.supply()

    def supply(self) -> str:
        code, out, _ = self.run((), 0)
        if code:
            raise RuntimeError("locked")
        return out.decode()

    def prints(self, token: str, ends: float) -> None:
        self.answer = (0, json.dumps({"token": token, "expires_at": ends}).encode(), b"")

    def silent(self, key: Key) -> SourceSilent:
        with pytest.raises(SecretMissing) as caught:
            self.vault.secret(key)
        assert isinstance(caught.value, SourceSilent), caught.value
        assert not isinstance(caught.value, NotRenewed)
        return caught.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def key(ref: str) -> Key:
    return Key(ProviderName("mimo"), "a", ref)


SLOW = ["cmd:tool", "keyring:svc/me", "call:me"]
FAILS = (1, b"", b"the vault is locked")


@pytest.mark.parametrize("ref", SLOW)
def test_the_last_value_goes_on_while_its_source_fails_and_its_end_is_unknown(bench: Bench, ref: str) -> None:
    assert bench.vault.secret(key(ref)) == Secret("a-good-key")
    bench.answer = FAILS
    for later in (301, 302, 400, 4000):
        bench.now = NOW + later
        assert bench.vault.secret(key(ref)) == Secret("a-good-key")
        assert bench.vault.peek(key(ref)) == Secret("a-good-key"), "until the source is asked again"
    bench.answer = (0, b"another-key", b"")
    bench.now += 65
    assert bench.vault.secret(key(ref)) == Secret("another-key")


@pytest.mark.parametrize("ref", SLOW)
def test_a_source_that_fails_at_first_is_silent_and_asked_again_ever_more_rarely(
    bench: Bench, ref: str
) -> None:
    bench.answer = FAILS
    rests = []
    for _ in range(9):
        error = bench.silent(key(ref))
        assert error.retry_at is not None
        rests.append(error.retry_at - bench.now)
        bench.now = error.retry_at - 0.1
        assert bench.silent(key(ref)).retry_at == error.retry_at
        bench.now = error.retry_at
    assert rests == [0.5, 1, 2, 4, 8, 16, 32, 64, 64]
    assert bench.runs == 9
    bench.answer = GOOD
    assert bench.vault.secret(key(ref)) == Secret("a-good-key")


def test_a_value_whose_end_is_reached_does_not_go_on(bench: Bench) -> None:
    bench.prints("a-token", NOW + 100)
    assert bench.vault.secret(key("cmd:x")) == Secret("a-token")
    bench.answer = FAILS
    bench.now = NOW + 99
    assert bench.vault.secret(key("cmd:x")) == Secret("a-token")
    bench.now = NOW + 100
    assert "exit code 1: the vault is locked" in str(bench.silent(key("cmd:x")))


@pytest.mark.parametrize(("wants", "again"), [(30.0, 30.0), (0.1, 0.5), (1e9, 3_600.0), (inf, 0.5)])
def test_a_source_that_says_when_it_may_be_asked_again_is_asked_then(
    bench: Bench, wants: float, again: float
) -> None:
    asked = []

    def fetch() -> tuple[str, float | None]:
        asked.append(bench.now)
        raise Silent("busy", bench.now + wants)

    source, began = CachedSource(fetch, lambda: bench.now), bench.now
    for later in (0.0, again - 0.1, again):
        bench.now = began + later
        with pytest.raises(Silent):
            source.read()
    assert asked == [began, began + again]


@pytest.mark.parametrize("ref", SLOW)
def test_what_a_provider_refused_does_not_go_on_while_its_source_is_silent(bench: Bench, ref: str) -> None:
    bench.vault.secret(key(ref))
    bench.answer = FAILS
    with pytest.raises(SourceSilent):
        bench.vault.reread(key(ref))
    assert bench.vault.peek(key(ref)) is None
    bench.silent(key(ref))
    bench.answer = GOOD
    bench.now += 1
    assert bench.vault.secret(key(ref)) == Secret("a-good-key"), (
        "as its source gives it again, it may be sent"
    )
    assert bench.vault.peek(key(ref)) == Secret("a-good-key")


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        ((3, b"", b""), True),
        ((0, b"", b""), True),
        (TimeoutError(), True),
        (OSError(11, "Resource temporarily unavailable"), True),
        (FileNotFoundError(2, "No such file or directory"), False),
        (PermissionError(13, "Permission denied"), False),
        ((0, b"{nonsense", b""), False),
        ((0, b"two\nlines", b""), False),
    ],
)
def test_what_a_program_does_tells_whether_it_may_pass(bench: Bench, answer: Any, passes: bool) -> None:
    bench.answer = answer
    with pytest.raises(SecretMissing) as caught:
        bench.vault.secret(key("cmd:tool"))
    assert isinstance(caught.value, SourceSilent) is passes


@pytest.mark.parametrize(
    ("name", "passes"), [("KeyringLocked", True), ("InitError", True), ("NoKeyringError", False)]
)
def test_a_keyring_that_is_locked_may_open_and_one_that_is_not_there_will_not(
    tmp_path: Path, name: str, passes: bool
) -> None:
    class Ring:
        def get_password(self, *_: str) -> str:
            raise type(name, (Exception,), {})

    with pytest.raises(SecretMissing) as caught:
        Vault(tmp_path / "s", keyring=Ring).secret(key("keyring:svc/me"))
    assert isinstance(caught.value, SourceSilent) is passes
    assert caught.value.next_step.startswith("keyring get svc me")


def rewritten(path: Path, text: bytes, after: float, first: bytes | None) -> Callable[[], None]:
    """Begin a file (None: have none) as a writer does that writes `text` a little later. Return what waits
    for it."""
    if first is not None:
        path.write_bytes(first)

    def write() -> None:
        time.sleep(after)
        path.write_bytes(text)

    thread = threading.Thread(target=write)
    thread.start()
    return thread.join


@pytest.mark.parametrize(
    "first", [b"", b"\xff\xfe", b"x" * 70_000, None], ids=["empty", "cut", "long", "gone"]
)
def test_a_file_that_is_being_written_is_read_again_in_a_moment(
    tmp_path: Path, bench: Bench, first: bytes | None
) -> None:
    path = tmp_path / "key"
    wait = rewritten(path, b"the-new-key", 0.01, first or b"")
    assert bench.vault.secret(key(f"file:{path}")) == Secret("the-new-key")
    wait()
    path.unlink()
    wait = rewritten(path, b"the-next-key", 0.01, first)
    assert bench.vault.secret(key(f"file:{path}")) == Secret("the-next-key")
    wait()


def test_a_file_that_stays_empty_leaves_the_last_value_and_costs_one_look(
    tmp_path: Path, bench: Bench
) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"the-key")
    ref = key(f"file:{path}")
    bench.vault.secret(ref)
    path.write_bytes(b" \n")
    assert bench.vault.secret(ref) == Secret("the-key")
    assert bench.vault.peek(ref) == Secret("the-key")
    with pytest.raises(SourceSilent):
        bench.vault.reread(ref)
    assert bench.vault.peek(ref) is None
    began = time.monotonic()
    bench.silent(ref)
    assert time.monotonic() - began < 0.05
    path.write_bytes(b"the-new-key")
    assert bench.vault.secret(ref) == Secret("the-new-key")


def test_what_has_been_silent_for_long_is_not_worth_waiting_for(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"")
    waits = []
    for _ in range(4):
        error = bench.silent(key(f"file:{path}"))
        assert error.retry_at is not None
        waits.append(error.retry_at - bench.now)
        bench.now += 20
    assert waits == [0, 20, 40, 60]
    path.write_bytes(b"the-key")
    assert bench.vault.secret(key(f"file:{path}")) == Secret("the-key")
    path.write_bytes(b"")
    bench.vault.secret(key(f"file:{path}"))
    with pytest.raises(SourceSilent) as caught:
        bench.vault.reread(key(f"file:{path}"))
    assert caught.value.retry_at == bench.now
    bench.now -= 3600
    assert bench.silent(key(f"file:{path}")).retry_at == bench.now


def test_a_file_that_is_gone_for_good_is_missing_and_takes_its_value_along(
    tmp_path: Path, bench: Bench
) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"the-key")
    bench.vault.secret(key(f"file:{path}"))
    path.unlink()
    for _ in range(2):
        with pytest.raises(SecretMissing) as caught:
            bench.vault.secret(key(f"file:{path}"))
        assert not isinstance(caught.value, SourceSilent)
        assert bench.vault.peek(key(f"file:{path}")) is None


def test_our_own_file_that_is_empty_or_unreadable_takes_no_key_away(bench: Bench) -> None:
    path = bench.vault.file.path
    SecretsFile(path).put("mimo", "b", Secret("kept-key"))
    kept = path.read_bytes()
    ref = key("store:b")
    assert bench.vault.secret(ref) == Secret("kept-key")
    path.write_bytes(b"")
    assert bench.vault.secret(ref) == Secret("kept-key")
    assert bench.vault.peek(ref) == Secret("kept-key")
    path.unlink()
    path.mkdir()
    assert bench.vault.secret(ref) == Secret("kept-key")
    fresh = Vault(path)
    with pytest.raises(SourceSilent, match="not a regular file"):
        fresh.secret(ref)
    path.rmdir()
    path.write_bytes(kept)
    path.chmod(0o600)
    assert fresh.secret(ref) == Secret("kept-key")
    SecretsFile(path).remove("mimo", "b")
    with pytest.raises(SecretMissing) as caught:
        bench.vault.secret(ref)
    assert not isinstance(caught.value, SourceSilent)


@pytest.mark.parametrize("first", [b"", b'[mimo]\nb = "kept'], ids=["empty", "cut"])
def test_our_own_file_that_another_program_writes_in_place_is_neither_lost_nor_set_aside(
    bench: Bench, first: bytes
) -> None:
    path = bench.vault.file.path
    SecretsFile(path).put("mimo", "b", Secret("kept-key"))
    wait = rewritten(path, path.read_bytes(), 0.01, first)
    assert bench.vault.secret(key("store:b")) == Secret("kept-key")
    wait()
    assert bench.vault.file.quarantined() == []


def test_a_sign_in_whose_file_cannot_be_read_now_is_silent(bench: Bench) -> None:
    bench.vault.file.path.mkdir()
    error = bench.silent(key("oauth:corp"))
    assert error.next_step.startswith("ls -ld ")


def test_a_keyring_that_never_answers_holds_one_thread_and_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompted, calls = threading.Event(), []

    class Ring:
        def get_password(self, *_: str) -> str:
            calls.append(threading.current_thread().name)
            prompted.wait(20)
            return "after-the-prompt"

    monkeypatch.setattr(foreign_call, "DEADLINE", 0.05)
    now = [NOW]
    vault = Vault(tmp_path / "s", keyring=Ring, clock=lambda: now[0])
    try:
        for _ in range(3):
            for _ in range(2):
                with pytest.raises(SourceSilent, match="gave no answer within") as caught:
                    vault.secret(key("keyring:svc/me"))
                assert caught.value.retry_at == inf, "no request waits for it any longer"
            now[0] += 65
        assert calls == ["holdfast-key"]
    finally:
        prompted.set()
    deadline = time.monotonic() + 10
    while vault.peek(key("keyring:svc/me")) is None and time.monotonic() < deadline:
        now[0] += 65
        try:
            vault.secret(key("keyring:svc/me"))
        except SourceSilent:
            time.sleep(0.01)
    assert vault.peek(key("keyring:svc/me")) == Secret("after-the-prompt")
    assert len(calls) == 1


def test_a_call_that_fails_late_is_told_once_and_then_made_again() -> None:
    answers: list[Any] = [OSError("late"), ("a-key", None)]

    def call() -> tuple[str, float | None]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            time.sleep(0.05)
            raise answer
        assert isinstance(answer, tuple)
        return answer

    foreign = ForeignCall(call, 0.001)
    with pytest.raises(Silent):
        foreign()
    time.sleep(0.2)
    with pytest.raises(OSError, match="late"):
        foreign()
    time.sleep(0.05)
    result = None
    while result is None:
        try:
            result = foreign()
        except Silent:
            time.sleep(0.01)
    assert result == ("a-key", None)


@pytest.mark.parametrize("ahead", [310, 600, 86_400])
def test_a_token_that_has_ended_by_this_machines_clock_is_sent_and_the_clock_is_named(
    bench: Bench, ahead: int
) -> None:
    bench.prints("a-token", NOW + 300)
    bench.now = NOW + ahead
    assert bench.vault.secret(key("cmd:x")) == Secret("a-token")
    assert bench.vault.ends(key("cmd:x")) is None
    assert "by this machine's clock" in bench.vault.note(key("cmd:x"))
    bench.now += 61
    bench.prints("the-next", bench.now + 300)
    assert bench.vault.secret(key("cmd:x")) == Secret("the-next"), "it is asked for again soon"
    assert bench.vault.note(key("cmd:x")) == ""


@pytest.mark.parametrize("jump", [-3600, -365 * 86_400, 3600])
def test_neither_a_rest_nor_a_life_outlasts_a_clock_that_is_put_right(bench: Bench, jump: float) -> None:
    bench.answer = FAILS
    bench.silent(key("cmd:x"))
    bench.now += jump
    bench.answer = GOOD
    assert bench.vault.secret(key("cmd:x")) == Secret("a-good-key")
    bench.answer = FAILS
    bench.now -= 365 * 86_400
    assert bench.vault.secret(key("cmd:x")) == Secret("a-good-key")
    bench.now += 700
    bench.answer = (0, b"a-new-key", b"")
    assert bench.vault.secret(key("cmd:x")) == Secret("a-new-key")
