"""Renewals of sign-ins: what the disk, the other processes and the service's refusals do to them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from credentials.desk import NOW, OAUTH, Desk, token
from holdfast.core.errors import NotRenewed, SecretMissing, SignInEnded
from holdfast.credentials import Vault, oauth_source
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.credentials.sources import RenewalFailed
from holdfast.values.secret import Secret


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def kept(desk: Desk) -> Grant:
    """What the file has, as another process reads it."""
    grant = SecretsFile(desk.path).grant("corp")
    assert grant is not None
    return grant


def fills_up(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The disk takes so many files more."""
    rest, sync = [after], os.fsync

    def refuse(handle: int) -> None:
        rest[0] -= 1
        if rest[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse)


ANOTHER = Grant("another", 0, Secret("access-9"), Secret("refresh-9"), NOW, NOW + 600)


def test_a_token_that_renews_is_not_spent_while_the_file_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()
    desk.answers = [token(1)]
    with monkeypatch.context() as full:
        fills_up(full, after=0)
        with pytest.raises(NotRenewed, match=r"not attempted.*No space left on device"):
            desk.vault.secret(OAUTH)
    assert desk.asked == []
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_disk_that_is_full_when_the_tokens_come_has_room_for_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()

    def refuse(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full() -> tuple[int, bytes]:
        monkeypatch.setattr("holdfast.credentials.secrets_file.write_private", refuse)
        return token(1)

    desk.answers = [full]
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    assert kept(desk).refresh == Secret("refresh-1")
    assert (desk.path.stat().st_mode & 0o777, desk.path.stat().st_size < 1_000) == (0o600, True)


def test_room_that_a_killed_process_had_reserved_is_given_back(desk: Desk) -> None:
    desk.sign_in()
    left = desk.path.with_name(".oauth.corp.4711.0123abcd")
    left.write_bytes(bytes(1_000))
    desk.answers = [token(1)]
    desk.vault.secret(OAUTH)
    assert sorted(path.name for path in desk.path.parent.iterdir()) == [
        ".oauth.corp.lock",
        ".oauth.corp.state",
        ".secrets.toml.lock",
        "secrets.toml",
    ]


def test_a_renewal_that_cannot_be_written_is_not_used_and_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()
    desk.answers = [token(1)]
    with monkeypatch.context() as full:
        fills_up(full, after=1)
        with pytest.raises(NotRenewed, match="could not be saved"):
            desk.vault.secret(OAUTH)
    assert desk.vault.peek(OAUTH) is None
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    assert (len(desk.asked), kept(desk).refresh) == (1, Secret("refresh-1"))


def test_a_sign_in_anew_is_not_overwritten_by_what_could_not_be_written_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()
    desk.answers = [token(1)]
    with monkeypatch.context() as full:
        fills_up(full, after=1)
        with pytest.raises(NotRenewed):
            desk.vault.secret(OAUTH)
    SecretsFile(desk.path).put_grant("corp", ANOTHER)
    assert desk.vault.secret(OAUTH) == Secret("access-9")
    assert kept(desk) == ANOTHER


def while_it_has(desk: Desk, grant: Grant | None) -> Callable[[], tuple[int, bytes]]:
    """An answer with tokens, before which the file gets another sign-in, or none."""

    def slow() -> tuple[int, bytes]:
        SecretsFile(desk.path).put_grant("corp", grant)
        return token(1)

    return slow


@pytest.mark.parametrize("seen", ["before the read", "during its wait"])
def test_what_others_renewed_is_not_renewed_again_whenever_it_is_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    """A token that was withdrawn is refused; another process renews it, and a request that only looks takes
    that over at any moment before this one has the lock."""
    desk.sign_in(ends=NOW + 600)
    desk.answers = [token(1)]
    refused = desk.vault.secret(OAUTH)
    lock = desk.vault.file.sign_in_lock

    def others_renew() -> None:
        desk.another().reread(OAUTH, refused)
        desk.now += 2
        assert desk.vault.peek(OAUTH) == Secret("access-1")

    def wait(name: str, patience: float) -> Any:
        if seen == "during its wait":
            others_renew()
        return lock(name, patience)

    monkeypatch.setattr(desk.vault.file, "sign_in_lock", wait)
    if seen == "before the read":
        others_renew()
    assert desk.vault.reread(OAUTH, refused)
    assert (desk.vault.peek(OAUTH), len(desk.asked)) == (Secret("access-1"), 1)


def test_a_sign_in_anew_during_a_renewal_of_the_old_one_stays(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [while_it_has(desk, ANOTHER)]
    assert desk.vault.secret(OAUTH) == Secret("access-9")
    assert (kept(desk), desk.another().secret(OAUTH)) == (ANOTHER, Secret("access-9"))


def test_a_sign_in_anew_is_used_at_once_although_the_old_token_is_still_good(desk: Desk) -> None:
    desk.sign_in(ends=NOW + 3_000)
    assert desk.vault.secret(OAUTH) == Secret("access-0")
    SecretsFile(desk.path).put_grant("corp", ANOTHER)
    desk.now += 1
    assert desk.vault.secret(OAUTH) == Secret("access-9")
    for half in ("", '["oauth:corp"]\nid = "an', "[[", "\x00"):  # another program writes the file
        desk.path.write_text(half)
        desk.now += 1
        assert (desk.vault.secret(OAUTH), desk.asked) == (Secret("access-9"), [])
        assert desk.path.read_text() == half


def test_a_sign_in_that_is_removed_during_a_renewal_stays_removed(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [while_it_has(desk, None)]
    for _ in range(2):
        with pytest.raises(SignInEnded, match="not signed in"):
            desk.vault.secret(OAUTH)
    assert SecretsFile(desk.path).grant("corp") is None


def test_an_older_file_that_is_put_back_is_replaced_by_what_is_known(desk: Desk) -> None:
    desk.sign_in()
    backup = desk.path.read_bytes()
    desk.answers = [token(1), token(2)]
    desk.vault.secret(OAUTH)
    desk.path.write_bytes(backup)
    desk.now += 700
    assert desk.vault.secret(OAUTH) == Secret("access-2")
    assert desk.asked == [Secret("refresh-0"), Secret("refresh-1")]
    assert (kept(desk).generation, kept(desk).refresh) == (2, Secret("refresh-2"))


def test_an_older_file_is_replaced_soon_by_a_process_that_lives_on(desk: Desk) -> None:
    desk.sign_in()
    backup = desk.path.read_bytes()
    desk.answers = [token(1), token(2)]
    desk.vault.secret(OAUTH)
    desk.now += 100
    desk.path.write_bytes(backup)
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    desk.beside.pop()()
    assert (desk.asked, desk.beside) == ([Secret("refresh-0"), Secret("refresh-1")], [])
    assert kept(desk).refresh == Secret("refresh-2")


def test_a_process_that_finds_an_older_file_spends_no_token_twice(desk: Desk) -> None:
    desk.sign_in()
    backup = desk.path.read_bytes()
    desk.answers = [token(1), token(2)]
    desk.vault.secret(OAUTH)
    newer = desk.path.read_bytes()
    desk.path.write_bytes(backup)
    with pytest.raises(NotRenewed, match="holds an older state"):
        desk.another().secret(OAUTH)
    assert len(desk.asked) == 1
    desk.path.write_bytes(newer)
    desk.now += 700
    assert desk.another().secret(OAUTH) == Secret("access-2")


def test_a_token_that_was_written_late_makes_the_one_before_known_as_spent_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()
    backup = desk.path.read_bytes()
    desk.answers = [token(1)]
    with monkeypatch.context() as full:
        fills_up(full, after=1)
        with pytest.raises(NotRenewed):
            desk.vault.secret(OAUTH)
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    desk.path.write_bytes(backup)
    with pytest.raises(NotRenewed, match="holds an older state"):
        desk.another().secret(OAUTH)


def test_an_older_file_is_as_good_where_the_service_changes_no_refresh_token(desk: Desk) -> None:
    desk.sign_in()
    backup = desk.path.read_bytes()
    desk.answers = [token(1, refresh_token=None), token(2, refresh_token=None)]
    desk.vault.secret(OAUTH)
    desk.path.write_bytes(backup)
    assert desk.another().secret(OAUTH) == Secret("access-2")
    assert desk.asked == [Secret("refresh-0")] * 2


def test_homes_that_link_to_one_file_share_its_lock_its_tokens_and_its_rests(tmp_path: Path) -> None:
    desks = []
    for name in ("shared", "one", "two"):
        (tmp_path / name).mkdir()
        desks.append(Desk(tmp_path / name))
    shared, *homes = desks
    shared.sign_in()
    for home in homes:
        home.path.symlink_to(shared.path)
    homes[0].answers = [(503, b"")]
    for home in homes:
        with pytest.raises(NotRenewed):
            home.vault.secret(OAUTH)
    for home in homes:
        home.now += 10
        home.answers = [token(1)]
        assert home.vault.secret(OAUTH) == Secret("access-1")
    assert [len(home.asked) for home in homes] == [2, 0]
    assert all(home.path.is_symlink() for home in homes)
    assert sorted(path.name for path in homes[0].path.parent.iterdir()) == ["secrets.toml"]


def test_what_a_service_asks_for_is_waited_for_by_all_processes(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [(429, b'{"error": "rate_limited"}', 300.0), token(1)]
    for waited in (0.0, 200.0, 99.0):
        desk.now += waited
        with pytest.raises(RenewalFailed) as caught:
            desk.source().read()
        assert caught.value.retry_at == NOW + 300
    desk.now += 2
    assert desk.another().secret(OAUTH) == Secret("access-1")
    assert len(desk.asked) == 2


def test_the_rest_after_failures_grows_for_all_processes_together(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [(503, b"")] * 20
    for _ in range(300):
        with pytest.raises(NotRenewed):
            desk.another().secret(OAUTH)
        desk.now += 1.0
    assert len(desk.asked) == 8  # after 0, 2, 6, 14, 30, 62, 126 and 246 seconds


@pytest.mark.parametrize("asked_for", [10**9, float("inf")])
def test_no_rest_is_longer_than_an_hour_whatever_the_service_asks_for(desk: Desk, asked_for: float) -> None:
    desk.sign_in()
    desk.answers = [(503, b"", asked_for), token(1)]
    with pytest.raises(NotRenewed):
        desk.vault.secret(OAUTH)
    desk.now += 3_601
    assert desk.vault.secret(OAUTH) == Secret("access-1")


@pytest.mark.parametrize("ahead", [365 * 86_400, 1_800, 90])
def test_a_rest_that_was_set_while_the_clock_was_ahead_binds_nobody(desk: Desk, ahead: float) -> None:
    desk.sign_in()
    desk.answers = [(503, b""), token(1)]
    desk.now += ahead
    with pytest.raises(NotRenewed):
        desk.vault.secret(OAUTH)
    desk.now = NOW
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_note_of_a_version_that_did_not_say_when_a_rest_began_still_counts(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [(503, b""), token(1)]
    with pytest.raises(NotRenewed):
        desk.vault.secret(OAUTH)
    path = desk.path.with_name(".oauth.corp.state")
    known = json.loads(path.read_text())
    del known["rested_at"]
    path.write_text(json.dumps(known))
    with pytest.raises(NotRenewed):
        desk.another().secret(OAUTH)
    assert len(desk.asked) == 1


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"id": 5}', b"\xff", b"{" * 9_000, bytes(20_000)])
def test_a_damaged_note_about_renewals_is_worth_nothing_and_harms_nothing(desk: Desk, damage: bytes) -> None:
    desk.sign_in()
    desk.path.with_name(".oauth.corp.state").write_bytes(damage)
    desk.answers = [token(1)]
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def refused(desk: Desk, answer: Any, *waits: float) -> list[str]:
    """How each of some attempts ends, the first at once, the others after these seconds."""
    desk.answers = [answer] * 20
    ends = []
    for waited in (0.0, *waits):
        desk.now += waited
        with pytest.raises(SecretMissing) as caught:
            desk.another().secret(OAUTH)
        ends.append(type(caught.value).__name__)
    return ends


OFTEN = [
    ((400, b'{"error": "no_such_thing"}'), [200.0, 99.0], False),
    ((400, b'{"error": "no_such_thing"}'), [200.0, 101.0], True),
    ((400, b'{"type": "error", "error": {"message": "Refresh token not found"}}'), [3.0], True),
    ((403, b""), [900.0] * 3, False),
    ((403, b""), [900.0] * 4, True),
    ((503, b'{"error": "invalid_grant"}'), [900.0] * 9, False),
    ((429, b'{"error": "no_such_thing"}'), [900.0] * 9, False),
    ((200, b"<html>"), [900.0] * 9, False),
]


@pytest.mark.parametrize(("answer", "waits", "is_over"), OFTEN)
def test_a_refusal_that_comes_again_and_again_ends_a_sign_in_and_an_outage_never(
    desk: Desk, answer: Any, waits: list[float], is_over: bool
) -> None:
    desk.sign_in()
    *before, last = refused(desk, answer, *waits)
    assert set(before) == {"NotRenewed"}
    assert last == ("SignInEnded" if is_over else "NotRenewed")
    assert bool(kept(desk).ended) is is_over


def test_refusals_count_only_while_they_are_the_same(desk: Desk) -> None:
    desk.sign_in()
    odd, other = (400, b'{"error": "no_such_thing"}'), (400, b'{"error": "other_thing"}')
    assert refused(desk, odd, 200.0) == ["NotRenewed"] * 2
    desk.now += 200
    assert refused(desk, other) == ["NotRenewed"]
    desk.now += 200
    assert refused(desk, odd, 200.0, 200.0) == ["NotRenewed"] * 2 + ["SignInEnded"]


def test_a_client_that_is_refused_is_asked_about_again_after_an_hour(desk: Desk) -> None:
    desk.sign_in()
    assert refused(desk, (401, b'{"error": "invalid_client"}'), 3_000.0) == ["SignInEnded"] * 2
    assert len(desk.asked) == 1
    assert "look at [signin.corp]" in desk.another().note(OAUTH)
    desk.now += 601
    desk.answers = [token(1)]
    assert desk.another().secret(OAUTH) == Secret("access-1")
    assert kept(desk).ended == ""


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        ((403, b"<html>Attention Required! | Cloudflare</html>"), [1_000.0] * 4),
        ((403, b'{"error": "ip_blocked"}'), [200.0, 200.0]),
        ((400, b'{"message": "Refresh token not found"}'), [3.0]),
    ],
)
def test_a_sign_in_that_was_turned_away_for_long_is_asked_about_again_after_an_hour(
    desk: Desk, answer: tuple[int, bytes], waits: list[float]
) -> None:
    desk.sign_in()
    assert refused(desk, answer, *waits, 3_500.0)[-2:] == ["SignInEnded"] * 2
    assert len(desk.asked) == len(waits) + 1
    assert "again and again" in desk.another().note(OAUTH)
    desk.now += 101
    assert refused(desk, answer, 3_500.0) == ["SignInEnded"] * 2
    assert len(desk.asked) == len(waits) + 2, "it rests for another hour"
    desk.now += 101
    desk.answers = [token(1)]
    assert desk.another().secret(OAUTH) == Secret("access-1")
    assert kept(desk).ended == ""


def test_a_sign_in_whose_file_was_set_aside_names_that_file_and_goes_on_once_it_is_back(desk: Desk) -> None:
    desk.sign_in()
    good = desk.path.read_text()
    desk.path.write_text(f"[cut\n{good}")
    for _ in range(2):
        with pytest.raises(SecretMissing, match=r"secrets\.toml\.corrupt-"):
            desk.vault.secret(OAUTH)
    desk.path.write_text(good)
    desk.answers = [token(1)]
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_country_that_a_service_refuses_ends_no_sign_in(desk: Desk) -> None:
    body = b'{"error": {"code": "unsupported_country_region_territory", "type": "request_forbidden"}}'
    desk.sign_in()
    assert refused(desk, (403, body), *[400.0] * 5) == ["NotRenewed"] * 6


def test_a_sign_in_that_is_over_stays_so_whatever_failed_before(desk: Desk) -> None:
    desk.sign_in()
    assert refused(desk, (503, b"")) == ["NotRenewed"]
    desk.now += 10
    assert refused(desk, (400, b'{"error": "invalid_grant"}'), 10_000.0) == ["SignInEnded"] * 2
    assert len(desk.asked) == 2


def test_a_refresh_token_that_comes_without_an_access_token_is_kept_and_used_next(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [token(1, access_token=None), token(2)]
    with pytest.raises(NotRenewed, match="gave no access token"):
        desk.vault.secret(OAUTH)
    assert kept(desk).refresh == Secret("refresh-1")
    with pytest.raises(NotRenewed, match="gave no access token"):
        desk.another().secret(OAUTH)
    desk.now += 3
    assert desk.vault.secret(OAUTH) == Secret("access-2")
    assert desk.asked == [Secret("refresh-0"), Secret("refresh-1")]


def test_a_copied_home_is_a_home_of_its_own(desk: Desk, tmp_path: Path) -> None:
    desk.sign_in()
    shutil.copytree(tmp_path, tmp_path / "copy")
    copy = Vault(tmp_path / "copy" / "secrets.toml", refresh=lambda *_: (503, b""), clock=lambda: NOW)
    with pytest.raises(NotRenewed):
        copy.secret(OAUTH)
    desk.answers = [token(1)]
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_program_of_a_few_seconds_renews_nothing_that_it_need_not(desk: Desk) -> None:
    desk.sign_in(ends=NOW + 100)
    assert [desk.vault.secret(OAUTH), desk.vault.peek(OAUTH)] == [Secret("access-0")] * 2
    desk.now += 20
    desk.vault.peek(OAUTH)
    assert desk.beside == []
    desk.now += 20
    desk.vault.peek(OAUTH)
    assert len(desk.beside) == 1


def test_nobody_waits_in_turn_for_a_service_that_is_silent_and_its_late_answer_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.sign_in()
    answers = threading.Event()

    def late() -> tuple[int, bytes]:
        assert answers.wait(20)
        return token(1)

    desk.answers = [late]
    monkeypatch.setattr(oauth_source, "_PATIENCE", 0.05)
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(NotRenewed, match="no answer"):
            desk.vault.secret(OAUTH)
    with pytest.raises(NotRenewed, match="another process or thread is renewing it"):
        desk.another().secret(OAUTH)
    assert time.monotonic() - began < 2
    answers.set()
    desk.vault.settle()
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    assert (len(desk.asked), kept(desk).generation) == (1, 1)
