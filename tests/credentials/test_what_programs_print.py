"""What programs print beside a key, or in its place, with an exit code of 0: warnings, colours, a byte order
mark, errors, a page. What is no key is never sent as one, and takes no good key away."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

from credentials.desk import NOW, TOOL, Desk
from holdfast.core.errors import SecretMissing
from holdfast.core.identity import Key, ProviderName
from holdfast.credentials import Vault, sources
from holdfast.credentials.sources import run_program
from holdfast.values.secret import Secret

AT = Key(ProviderName("mimo"), "t", "cmd:tool", value="data.token")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("printed", "key"),
    [
        (b"a-token\r\n", TOOL),
        (b"\xef\xbb\xbfa-token\n", TOOL),
        (b'"a-token"\n', TOOL),
        (b"\x1b[33ma-token\x1b[0m\n", TOOL),
        (b'\xef\xbb\xbf{"token": "a-token"}', TOOL),
        (b'\x1b[0m{"token": "a-token"}\x1b[0m\n', TOOL),
        (b'WARNING: a newer version is there\n{\n  "token": "a-token"\n}\n', TOOL),
        (b'{"token": "a-token"}\nA new release of the tool is available: {1.2}\n', TOOL),
        (b'{"level": "warn", "msg": "old"}\n{"token": "a-token"}\n', TOOL),
        (b'[notice] see https://x.example\n{"data": {"token": "a-token"}}\n', AT),
    ],
)
def test_a_key_is_read_between_lines_that_are_meant_for_people(desk: Desk, printed: bytes, key: Key) -> None:
    desk.prints = printed
    assert desk.vault.secret(key) == Secret("a-token")


NO_KEYS = [
    b"Error: not logged in. Run: tool login\n",
    b"WARNING: an old version\na-token\n",
    b"null\n",
    b"None",
    b"undefined",
    b'""',
    b"<html><body>Sign in</body></html>",
    b'{"error": "login required"}',
    b'{"items": [\n{"token": "of-another"}\n]}',
    b'[{"token": "of-another"}]',
    b"[]",
    b'{"token": "cut',
    b'{"token": "two\\nlines"}',
    b'{"token": ""}',
]


@pytest.mark.parametrize("printed", NO_KEYS, ids=range(len(NO_KEYS)))
def test_what_is_no_key_is_not_sent_as_one_and_takes_no_good_key_away(desk: Desk, printed: bytes) -> None:
    good, desk.prints = desk.prints, printed
    with pytest.raises(SecretMissing) as caught:
        desk.vault.secret(TOOL)
    assert "of-another" not in str(caught.value)
    desk.now, desk.prints = NOW + 1, b"a-token"
    assert desk.vault.secret(TOOL) == Secret("a-token")
    desk.prints = printed
    for later in (400, 500, 5_000):
        desk.now = NOW + later
        assert desk.vault.secret(TOOL) == Secret("a-token")
    desk.now, desk.prints = NOW + 5_100, good
    assert desk.vault.secret(TOOL) == Secret("a-token")


def test_a_token_whose_end_is_reached_does_not_go_on_beside_an_error(desk: Desk) -> None:
    desk.vault.secret(TOOL)
    desk.prints = b"Error: not logged in"
    desk.now += 590
    assert desk.vault.secret(TOOL) == Secret("a-token")
    desk.now += 11
    with pytest.raises(SecretMissing, match="a text that is no key"):
        desk.vault.secret(TOOL)


def test_a_key_that_a_provider_refused_does_not_go_on_beside_an_error(desk: Desk) -> None:
    desk.prints = b"a-token"
    desk.vault.secret(TOOL)
    desk.prints = b"Error: not logged in"
    for _ in range(2):
        with pytest.raises(SecretMissing):
            desk.vault.reread(TOOL)
        assert desk.vault.peek(TOOL) is None


def test_a_key_that_a_program_repeats_as_it_fails_is_in_no_message(desk: Desk) -> None:
    outputs = [
        (0, b'{"token": "zq9xkmwtbvplrahd", "expires_in": 600}', b""),
        (1, b"", b"denied: zq9xkmwtbvplrahd"),
    ]
    vault = Vault(desk.path, run=lambda argv, seconds: outputs.pop(0), clock=lambda: desk.now)
    vault.secret(TOOL)
    desk.now += 601
    with pytest.raises(SecretMissing, match="exit code 1: denied") as caught:
        vault.secret(TOOL)
    assert "zq9xkm" not in str(caught.value)


def test_a_file_with_a_byte_order_mark_holds_the_key_behind_it(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbfa-token\r\n")
    assert desk.vault.secret(Key(ProviderName("mimo"), "f", f"file:{path}")) == Secret("a-token")


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_program_that_may_not_be_killed_holds_nobody_beyond_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(group: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(sources, "_KILLED", 0.05)
        patch.setattr(sources.os, "killpg", refuse)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            run_program(["sleep", "2"], 0.1)
        assert time.monotonic() - began < 1.5
        gc.collect()
