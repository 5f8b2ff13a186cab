"""Tokens that end: the formats of the programs that hand them out, renewal ahead of the end, and a sign-in's
rare accidents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from credentials.desk import NOW, OAUTH, PEPPER, TOOL, Desk, token
from holdfast.core.errors import NotRenewed, SignInEnded
from holdfast.credentials.secrets_file import Grant
from holdfast.credentials.sources import RenewalFailed
from holdfast.values.secret import Secret


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


UNUSABLE = [
    *(token(1, access_token=value, refresh_token=None) for value in ("two\nlines", "\U0001f511", " ", 5, {})),
    token(1, access_token=None, refresh_token="refresh-0"),
    (200, b"[" * 50_000),
]
"""Answers from which no token comes, and no accident either."""
GRANT_OVER = (400, b'{"error": "invalid_grant"}')


@pytest.mark.parametrize(
    ("prints", "ends"),
    [
        (
            {
                "kind": "ExecCredential",
                "status": {"token": "a-token", "expirationTimestamp": "1970-01-12T13:50:00Z"},
            },
            NOW + 200,
        ),
        ({"credential": {"access_token": "a-token", "token_expiry": "1970-01-12T13:50:00Z"}}, NOW + 200),
        ({"accessToken": "a-token", "expires_on": NOW + 200}, NOW + 200),
        ({"access_token": "a-token", "expires_at": (NOW + 200) * 1000 + 1e12}, (NOW + 200) + 1e9),
        ({"apiKey": "a-token", "expiration": "1970-01-12T13:50:00+00:00"}, NOW + 200),
        ({"token": "a-token", "expires_in": 200, "expires_at": 5}, NOW + 200),
        ({"token": "a-token", "expires_in": "200s"}, NOW + 200),
        ({"token": "a-token", "expiry": "1970-01-12T13:50:00"}, NOW + 200),
        ({"token": "a-token", "expiry": "1970-01-12T13:50:00.5Z"}, NOW + 200.5),
        ({"token": "a-token"}, None),
        (b"a-token\n", None),
        ({"accessToken": "a-token", "expireTime": "1970-01-12T13:50:00Z"}, NOW + 200),
        ({"accessToken": "a-token", "expiresOn": "2001-01-01 00:00:00", "expires_on": NOW + 200}, NOW + 200),
        ({"token": "a-token", "expiresOn": "1970-01-12T13:50:00Z"}, NOW + 200),
        ({"version": 1, "success": True, "id_token": "a-token", "expiration_time": NOW + 200}, NOW + 200),
        ({"data": {"token": "a-token"}, "lease_duration": 200}, NOW + 200),
        ({"data": {"token": "a-token"}, "lease_duration": 0}, None),
    ],
)
def test_a_program_may_print_its_token_as_its_kind_does(
    desk: Desk, prints: object, ends: float | None
) -> None:
    desk.prints = prints
    assert desk.vault.secret(TOOL) == Secret("a-token")
    assert desk.vault.ends(TOOL) == (pytest.approx(ends) if ends is not None else None)


ODD_ENDS = [True, "soon", "never", "", float("inf"), {}, "nan", 10**400]


@pytest.mark.parametrize("name", ["expires_at", "expires_in"])
@pytest.mark.parametrize("expiry", ODD_ENDS, ids=range(len(ODD_ENDS)))
def test_an_expiry_that_is_none_leaves_the_key_and_its_end_unknown(
    desk: Desk, name: str, expiry: object
) -> None:
    desk.prints = json.dumps({"token": "a-token", name: expiry}).encode()
    assert desk.vault.secret(TOOL) == Secret("a-token")
    assert desk.vault.ends(TOOL) is None
    desk.now += 301
    assert desk.vault.peek(TOOL) is None


@pytest.mark.parametrize("expiry", ["0001-01-01T00:00:00Z", 0, -1, "1970-01-01T00:00:00Z"])
def test_an_end_before_all_tokens_says_that_it_is_not_known(desk: Desk, expiry: object) -> None:
    desk.prints = {"token": "a-token", "expiry": expiry}
    assert desk.vault.secret(TOOL) == Secret("a-token")
    assert (desk.vault.ends(TOOL), desk.vault.note(TOOL)) == (None, "")


def test_a_token_is_renewed_beside_the_requests_before_its_end_and_serves_meanwhile(desk: Desk) -> None:
    desk.vault.secret(TOOL)
    desk.now += 600 - 121
    assert desk.vault.peek(TOOL) is not None
    assert desk.beside == []
    desk.now += 2
    desk.prints = {"token": "next-token", "expires_in": 600}
    assert [desk.vault.peek(TOOL), desk.vault.peek(TOOL)] == [Secret("a-token")] * 2
    assert len(desk.beside) == 1
    desk.beside.pop()()
    assert (desk.vault.peek(TOOL), desk.runs) == (Secret("next-token"), 2)


def test_a_renewal_ahead_that_fails_leaves_the_token_in_hand_and_is_tried_again(desk: Desk) -> None:
    desk.vault.secret(TOOL)
    desk.now += 600 - 100
    desk.prints = b""
    desk.vault.peek(TOOL)
    desk.beside.pop()()
    assert desk.vault.peek(TOOL) == Secret("a-token")
    desk.now += 16
    desk.vault.peek(TOOL)
    assert len(desk.beside) == 1


def test_a_token_that_ended_is_never_read_by_whoever_only_looks(desk: Desk) -> None:
    desk.vault.secret(TOOL)
    assert desk.vault.ready(TOOL, PEPPER) == desk.vault.fingerprint(TOOL, PEPPER)
    desk.now += 600
    assert (desk.vault.peek(TOOL), desk.vault.ready(TOOL, PEPPER), desk.runs) == (None, None, 1)
    assert desk.vault.fingerprint(TOOL, PEPPER) is not None


def test_a_clock_that_is_set_back_prolongs_no_token(desk: Desk) -> None:
    desk.vault.secret(TOOL)
    desk.now -= 3_600
    assert desk.vault.peek(TOOL) is None


def test_a_sign_in_keeps_its_fingerprint_while_its_tokens_change_and_a_new_one_starts_afresh(
    desk: Desk,
) -> None:
    desk.sign_in()
    assert desk.vault.fingerprint(OAUTH, PEPPER) is None
    desk.answers = [token(1), token(2)]
    desk.vault.secret(OAUTH)
    first = desk.vault.fingerprint(OAUTH, PEPPER)
    assert desk.vault.reread(OAUTH)
    assert (desk.vault.fingerprint(OAUTH, PEPPER), desk.asked) == (
        first,
        [Secret("refresh-0"), Secret("refresh-1")],
    )
    desk.file.put_grant("corp", Grant("another", 0, Secret("access-9"), None, NOW, NOW + 600))
    assert desk.another().secret(OAUTH) == Secret("access-9")
    desk.vault.reread(OAUTH)
    assert desk.vault.fingerprint(OAUTH, PEPPER) != first


def test_what_another_process_renewed_is_taken_over_and_not_asked_for(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [token(1)]
    other = desk.another()
    other.secret(OAUTH)
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    assert len(desk.asked) == 1


def test_a_sign_in_is_renewed_ahead_of_its_end_too(desk: Desk) -> None:
    desk.sign_in(ends=NOW + 300)
    desk.vault.secret(OAUTH)
    desk.now += 200
    desk.answers = [token(1)]
    assert [desk.vault.peek(OAUTH), desk.vault.peek(OAUTH)] == [Secret("access-0")] * 2
    desk.beside.pop()()
    assert (desk.beside, desk.vault.peek(OAUTH)) == ([], Secret("access-1"))


def test_a_refusal_counts_only_while_the_file_holds_what_was_refused(desk: Desk) -> None:
    desk.sign_in()

    def somebody_else_was_faster() -> tuple[int, bytes]:
        desk.sign_in(ends=NOW + 600, generation=1)
        return GRANT_OVER

    desk.answers = [somebody_else_was_faster]
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_sign_in_that_is_over_is_asked_about_once_by_all_processes(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [GRANT_OVER]
    for vault in (desk.vault, desk.vault, desk.another()):
        with pytest.raises(SignInEnded) as caught:
            vault.secret(OAUTH)
        assert caught.value.next_step == "holdfast key login mimo"
    assert len(desk.asked) == 1
    assert "invalid_grant" in desk.vault.note(OAUTH)


@pytest.mark.parametrize(
    "answer",
    [
        (503, b""),
        (0, b"ConnectError"),
        (200, b"<html>"),
        (200, b"{}"),
        (429, b'{"error": "slow_down"}'),
        (200, b"\xff"),
        *UNUSABLE,
    ],
)
def test_a_service_that_cannot_answer_is_asked_again_after_a_rest_that_grows(
    desk: Desk, answer: tuple[int, bytes]
) -> None:
    desk.sign_in()
    desk.answers = [answer, answer, token(1)]
    for waited in (0.0, 1.0, 1.5, 3.0):
        desk.now += waited
        with pytest.raises(NotRenewed):
            desk.vault.secret(OAUTH)
    assert len(desk.asked) == 2
    desk.now += 2
    assert desk.vault.secret(OAUTH) == Secret("access-1")


def test_a_failed_renewal_says_from_when_another_attempt_may_succeed(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [(503, b"")]
    source = desk.source()
    for _ in range(2):
        with pytest.raises(RenewalFailed) as caught:
            source.read()
        assert caught.value.retry_at == NOW + 2


def test_a_life_beyond_all_reason_is_shortened_and_can_be_written_down(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [(200, token(1)[1].replace(b"600", b"9" * 5_000))]
    assert desk.vault.secret(OAUTH) == Secret("access-1")
    assert NOW < (desk.another().ends(OAUTH) or 0) < NOW * 1000


@pytest.mark.parametrize(
    ("answered", "lives"), [(600, 600), ("600", 600), (600.0, 600), (0, None), (-1, None), (True, None)]
)
def test_the_life_of_a_token_is_also_read_from_text(
    desk: Desk, answered: object, lives: float | None
) -> None:
    desk.sign_in()
    desk.answers = [token(1, expires_in=answered)]
    desk.vault.secret(OAUTH)
    assert desk.another().ends(OAUTH) == (None if lives is None else NOW + lives)


def test_a_service_that_repeats_the_refresh_token_is_not_repeated(desk: Desk) -> None:
    desk.file.put_grant("corp", Grant("g", 0, None, Secret("plain-renewing-word"), NOW - 600, NOW - 1))
    desk.answers = [(400, b'{"error": "plain-renewing-word"}')]
    with pytest.raises(NotRenewed) as caught:
        desk.vault.secret(OAUTH)
    assert "plain-renewing" not in str(caught.value)


def test_a_service_that_gives_no_new_refresh_token_keeps_the_old_one(desk: Desk) -> None:
    desk.sign_in()
    desk.answers = [token(1, refresh_token=None, expires_in=None)]
    desk.vault.secret(OAUTH)
    grant = desk.file.grant("corp")
    assert grant is not None
    assert (grant.refresh, grant.expires_at, desk.vault.ends(OAUTH)) == (Secret("refresh-0"), None, None)
