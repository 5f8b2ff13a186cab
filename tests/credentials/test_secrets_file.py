"""secrets.toml: private, whole, never read as empty, and safe with several writers."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from children import Popen
from holdfast import _files
from holdfast.core.errors import ConfigError
from holdfast.credentials import SecretsFile
from holdfast.credentials.secrets_file import Grant
from holdfast.values.secret import Secret


@pytest.fixture
def file(tmp_path: Path) -> SecretsFile:
    return SecretsFile(tmp_path / "home" / "secrets.toml", clock=lambda: 0.0)


def test_what_is_put_is_got_by_whoever_asks_next(file: SecretsFile) -> None:
    awkward = Secret('quo"te\\back é')
    file.put("mimo", "b", awkward)
    file.put("my.gateway", "b", Secret("other"))
    again = SecretsFile(file.path)
    assert (again.get("mimo", "b"), again.get("my.gateway", "b"), again.get("mimo", "c")) == (
        awkward,
        Secret("other"),
        None,
    )
    assert again.labels("mimo") == ("b",)


def test_the_file_is_private_and_nothing_else_is_left(file: SecretsFile) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in file.path.parent.iterdir()} == {"secrets.toml", ".secrets.toml.lock"}


def test_a_file_that_others_could_read_is_private_after_the_next_write(file: SecretsFile) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    file.path.chmod(0o644)
    file.put("mimo", "c", Secret("value-of-c"))
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_keys_are_removed_one_by_one_or_with_their_provider(file: SecretsFile) -> None:
    for label in "abc":
        file.put("mimo", label, Secret(f"value-of-{label}"))
    file.remove("mimo", "a")
    assert file.labels("mimo") == ("b", "c")
    file.remove("mimo")
    file.remove("mimo")
    file.remove("nobody", "a")
    assert file.labels("mimo") == ()
    assert "mimo" not in file.path.read_text()


def test_a_copy_leaves_the_old_and_keeps_what_the_new_name_has(file: SecretsFile) -> None:
    file.put("old", "a", Secret("value-of-a"))
    file.put("new", "b", Secret("value-of-b"))
    file.copy("old", "new")
    file.copy("nobody", "elsewhere")
    assert (file.labels("old"), file.labels("new"), file.labels("elsewhere")) == (("a",), ("b", "a"), ())


@pytest.mark.parametrize("label", ["\U0001f511", "\x7f", "\x00", "\u2028", "é", 'a"b\\c'])
def test_a_label_of_whatever_characters_is_read_as_it_was_written(file: SecretsFile, label: str) -> None:
    file.put("mimo", label, Secret("value-é\xff"))
    assert SecretsFile(file.path).get("mimo", label) == Secret("value-é\xff")


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.put("mimo", "a\ud800", Secret("value-of-a")),
        lambda file: file.put_grant("corp", Grant("g", expires_at=float("inf"))),
        lambda file: file.put_grant("corp", Grant("g", issued_at=float("nan"))),
    ],
    ids=["half a character", "endless", "no number"],
)
def test_what_the_file_cannot_hold_is_refused_and_the_file_stays(
    file: SecretsFile, change: Callable[[SecretsFile], None]
) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    before = file.path.read_bytes()
    with pytest.raises(ConfigError, match="nothing was changed"):
        change(file)
    assert file.path.read_bytes() == before
    assert file.get("mimo", "b") == Secret("value-of-b")


def test_removing_what_is_not_there_writes_nothing(file: SecretsFile) -> None:
    file.remove("mimo", "b")
    assert not file.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b'[mimo]\nb = "unfinished',
        b"\xff\xfe",
        b'b = "no table"\n',
        b"[mimo]\nb = 3\n",
        b'[mimo]\nb = ""\n',
        b"a = " + b"[" * 50_000,
    ],
)
def test_a_file_that_cannot_be_understood_is_set_aside_and_never_read_as_empty(
    file: SecretsFile, content: bytes
) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    aside = file.path.with_name("secrets.toml.corrupt-19700101T000000")
    with pytest.raises(ConfigError, match="could not be parsed and was set aside") as caught:
        file.get("mimo", "b")
    assert "unfinished" not in str(caught.value)
    assert (aside.read_bytes(), file.path.exists(), file.quarantined()) == (content, False, [aside])


@pytest.mark.parametrize("before", ["", "\N{BYTE ORDER MARK}"], ids=["plain", "byte order mark"])
def test_what_another_version_keeps_of_a_sign_in_takes_no_key_away(file: SecretsFile, before: str) -> None:
    file.path.parent.mkdir()
    grant = '["oauth:corp"]\nid = "g"\naccess = "access-0"\nscope = "chat"\nkinds = [1]\n'
    file.path.write_text(f'{before}[mimo]\nb = "value-of-b"\n{grant}', "utf-8")
    assert file.get("mimo", "b") == Secret("value-of-b")
    assert file.grant("corp") == Grant("g", 0, Secret("access-0"))
    assert file.quarantined() == []


def test_a_write_never_replaces_a_file_that_was_not_understood(file: SecretsFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("nonsense")
    with pytest.raises(ConfigError, match="set aside"):
        file.put("mimo", "b", Secret("value-of-b"))
    file.put("mimo", "b", Secret("value-of-b"))
    file.path.write_text("nonsense again")
    with pytest.raises(ConfigError, match="set aside"):
        file.get("mimo", "b")
    assert [path.read_text() for path in file.quarantined()] == ["nonsense", "nonsense again"]


def test_who_misses_a_key_then_learns_of_the_file_that_was_set_aside(file: SecretsFile) -> None:
    from holdfast.core.errors import SecretMissing
    from holdfast.core.identity import Key, ProviderName
    from holdfast.credentials import Vault

    file.path.parent.mkdir()
    file.path.write_text("nonsense")
    vault = Vault(file.path)
    key = Key(ProviderName("mimo"), "b", "store:b")
    with pytest.raises(ConfigError, match="set aside"):
        vault.secret(key)
    with pytest.raises(
        SecretMissing,
        match=r"an older file that could not be parsed is kept as .*secrets\.toml\.corrupt-",
    ):
        vault.secret(key)


def test_a_file_that_cannot_be_set_aside_stays(file: SecretsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    file.path.parent.mkdir()
    file.path.write_text("nonsense")
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(ConfigError, match=r"cannot be set aside \(Read-only file system\)"):
        file.get("mimo", "b")
    assert file.path.read_text() == "nonsense"


def test_a_file_that_cannot_be_read_is_reported(file: SecretsFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"secrets\.toml is not a regular file"):
        file.get("mimo", "b")


def test_a_write_that_fails_leaves_the_old_keys(file: SecretsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file.put("mimo", "b", Secret("value-of-b"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ConfigError, match="No space left on device; nothing was changed"):
            file.put("mimo", "c", Secret("value-of-c"))
    assert SecretsFile(file.path).labels("mimo") == ("b",)
    assert {path.name for path in file.path.parent.iterdir()} == {"secrets.toml", ".secrets.toml.lock"}


def test_writers_in_several_processes_lose_nothing(file: SecretsFile) -> None:
    code = (
        "import sys; from pathlib import Path; from holdfast.credentials import SecretsFile; from "
        "holdfast.values.secret import Secret\n"
        "file = SecretsFile(Path(sys.argv[1]))\n"
        "for number in range(10): file.put('mimo', f'{sys.argv[2]}-{number}', Secret('value'))"
    )
    children = [Popen([sys.executable, "-c", code, str(file.path), str(child)]) for child in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert len(file.labels("mimo")) == 40


def test_what_a_killed_writer_left_behind_goes_with_the_next_write(file: SecretsFile) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    draft, other = (
        file.path.with_name(name) for name in (".secrets.toml.4711.0123abcd", ".secrets.toml.mine")
    )
    draft.write_text("a key")
    other.write_text("the user's own")
    file.put("mimo", "b", Secret("value-of-b"))
    assert (draft.exists(), other.exists()) == (False, True)


def test_homes_that_link_to_one_file_share_its_lock(
    file: SecretsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    (tmp_path / "linked.toml").symlink_to(file.path)
    monkeypatch.setattr(_files, "_LOCK_PATIENCE", 0.0)
    with _files.locked(file.path), pytest.raises(ConfigError, match="is being changed by another process"):
        SecretsFile(tmp_path / "linked.toml").put("mimo", "c", Secret("value-of-c"))
    SecretsFile(tmp_path / "linked.toml").put("mimo", "c", Secret("value-of-c"))
    assert ((tmp_path / "linked.toml").is_symlink(), file.labels("mimo")) == (True, ("b", "c"))


def test_a_lock_that_is_never_released_is_reported(
    file: SecretsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.put("mimo", "b", Secret("value-of-b"))
    monkeypatch.setattr(_files, "_LOCK_PATIENCE", 0.0)
    with (file.path.parent / ".secrets.toml.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="is being changed by another process"):
            file.put("mimo", "c", Secret("value-of-c"))
    file.put("mimo", "c", Secret("value-of-c"))
