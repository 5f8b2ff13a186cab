"""The vault: each scheme's secret, what is known at no cost, the message for a key that cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from children import Popen
from holdfast.core.errors import ConfigError, SecretMissing
from holdfast.core.identity import Key, ProviderName
from holdfast.credentials import SecretsFile, Vault
from holdfast.credentials.sources import run_program
from holdfast.distribution import install_command
from holdfast.values.secret import Secret

PEPPER = b"p" * 32


def key(ref: str, label: str = "a") -> Key:
    return Key(ProviderName("mimo"), label, ref)


class World:
    """A clock, an environment, programs and a keyring that tests can see through."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_000_000.0
        self.environ: dict[str, str] = {}
        self.answer: tuple[int, bytes, bytes] | Exception = (0, b"from-a-program\n", b"")
        self.runs: list[Sequence[str]] = []
        self.ring: dict[tuple[str, str], str] = {}
        self.beside: list[Callable[[], None]] = []
        self.vault = Vault(
            directory / "secrets.toml",
            environ=self.environ,
            run=self.run,
            keyring=lambda: self,
            clock=lambda: self.now,
            background=self.beside.append,
        )

    def run(self, argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
        assert seconds == 10
        self.runs.append(argv)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get_password(self, service: str, user: str) -> str | None:
        return self.ring.get((service, user))


@pytest.fixture
def context(tmp_path: Path) -> World:
    return World(tmp_path)


def missing(context: World, ref: str) -> SecretMissing:
    with pytest.raises(SecretMissing) as caught:
        context.vault.secret(key(ref))
    assert context.vault.peek(key(ref)) is None
    assert caught.value.next_step
    return caught.value


def test_a_variable_is_looked_at_every_time(context: World) -> None:
    context.environ["MIMO_KEY"] = " first-value \n"
    assert context.vault.secret(key("env:MIMO_KEY")) == Secret("first-value")
    context.environ["MIMO_KEY"] = "second-value"
    assert context.vault.peek(key("env:MIMO_KEY")) == Secret("second-value")
    del context.environ["MIMO_KEY"]
    assert context.vault.peek(key("env:MIMO_KEY")) is None


def test_a_variable_that_did_not_change_gives_the_same_object(context: World) -> None:
    context.environ["MIMO_KEY"] = "first-value"
    assert context.vault.secret(key("env:MIMO_KEY")) is context.vault.peek(key("env:MIMO_KEY"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not set in this environment"),
        ("  ", "its value cannot be empty"),
        ("a\nb", "its value cannot hold control characters"),
    ],
)
def test_a_variable_that_holds_no_key_says_so(context: World, value: str | None, why: str) -> None:
    if value is not None:
        context.environ["MIMO_KEY"] = value
    error = missing(context, "env:MIMO_KEY")
    assert error.tried[0].startswith(f"env:MIMO_KEY: {why}")
    assert "cannot read key 'a' of provider 'mimo'" in str(error)
    assert "export MIMO_KEY=…" in error.next_step


def test_a_file_is_read_once_until_it_changes(context: World, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("first-value\n")
    reference = key(f"file:{path}")
    assert context.vault.peek(reference) is None
    first = context.vault.secret(reference)
    assert context.vault.peek(reference) is first
    path.write_text("second-value-is-longer\n")
    assert context.vault.peek(reference) is None
    assert context.vault.secret(reference) == Secret("second-value-is-longer")


def test_a_file_may_be_written_with_a_tilde(
    context: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text("at-home")
    assert context.vault.secret(key("file:~/key")) == Secret("at-home")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "its value cannot be empty"),
        (b"a\nb", "its value cannot hold"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"x" * 65537, "longer than 65536 bytes"),
    ],
)
def test_a_file_that_holds_no_key_says_so(
    context: World, tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    assert missing(context, f"file:{path}").tried[0].startswith(f"file:{path}: {why}")


def test_a_pipe_or_a_directory_is_never_waited_for(context: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in str(missing(context, f"file:{tmp_path / 'pipe'}"))
    assert "not a regular file" in str(missing(context, f"file:{tmp_path}"))
    assert "not a regular file" in str(missing(context, "file:/dev/zero"))
    (tmp_path / "my keys").write_text("")
    assert missing(context, f"file:{tmp_path}/my keys").next_step == f"ls -l '{tmp_path}/my keys'"


def test_what_others_can_read_is_noted_not_refused(context: World, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("a-value")
    path.chmod(0o644)
    assert context.vault.secret(key(f"file:{path}")) == Secret("a-value")
    assert (
        context.vault.note(key(f"file:{path}"))
        == f"{path} can be read by others (mode 0644): chmod 600 {path}"
    )
    path.chmod(0o600)
    assert context.vault.note(key(f"file:{path}")) == ""
    assert [
        context.vault.note(key(ref)) for ref in ("file:/nowhere", "env:A", "cmd:a", "keyring:a/b", "store:a")
    ] == [""] * 5


def test_a_program_is_run_without_a_shell_and_kept_for_five_minutes(context: World) -> None:
    reference = key("cmd:op read 'op://vault/an item'; rm -rf /")
    assert context.vault.peek(reference) is None
    assert context.vault.secret(reference) == Secret("from-a-program")
    assert context.runs == [["op", "read", "op://vault/an item;", "rm", "-rf", "/"]]
    context.now += 299
    assert context.vault.peek(reference) == Secret("from-a-program")
    context.now += 1
    assert context.vault.peek(reference) is None
    context.vault.secret(reference)
    assert len(context.runs) == 2


@pytest.mark.parametrize(
    ("printed", "lives"),
    [
        (b'{"token": "the-token", "expires_in": 3600}', 3570),
        (b'{"key": "the-token", "expires_at": 1000100}', 70),
        (b'{"api_key": "the-token", "expires_at": "1970-01-12T13:48:20Z"}', 70),
        (b'{"token": "the-token", "expires_in": "20"}', 10),
        (b'{"token": "the-token"}', 300),
    ],
)
def test_a_program_may_say_how_long_its_key_lives(context: World, printed: bytes, lives: float) -> None:
    context.answer = (0, printed, b"")
    assert context.vault.secret(key("cmd:x")) == Secret("the-token")
    context.now += lives - 0.5
    assert context.vault.peek(key("cmd:x")) is not None
    context.now += 1
    assert context.vault.peek(key("cmd:x")) is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            (3, b"", b"\n  not signed in: token sk-abcdefghijklmnop1234\nmore"),
            "exit code 3: not signed in: token ****",
        ),
        ((1, b"", b""), "exit code 1"),
        ((0, b" \n", b""), "printed nothing"),
        ((0, b"x" * 65537, b""), "printed more than 65536 bytes"),
        ((0, b"two\nlines", b""), "printed a text that is no key"),
        ((0, b"null\n", b""), "printed nothing"),
        ((0, b'[{"token": "x"}]', b""), "printed JSON that is no object"),
        ((0, b"{nonsense", b""), "printed something that looks like JSON and is not"),
        ((0, b'{"secret": "x"}', b""), "printed JSON without a string 'token', 'key' or 'api_key'"),
        (TimeoutError(), "gave no answer within 10 s"),
        (
            FileNotFoundError(2, "No such file or directory"),
            "could not be started: No such file or directory",
        ),
    ],
)
def test_a_program_that_gives_no_key_says_why_without_a_secret(context: World, answer: Any, why: str) -> None:
    context.answer = answer
    error = missing(context, "cmd:op read x")
    assert error.tried[0].startswith(f"cmd:op read x: {why}")
    assert error.next_step.startswith("op read x")


def test_a_token_inside_a_command_is_never_repeated(context: World) -> None:
    context.answer = (3, b"", b"denied")
    error = missing(context, "cmd:curl -H 'Authorization: Bearer abcdef123456' https://keys.example")
    assert error.tried[0].startswith(
        "cmd:curl -H 'Authorization: Bearer ****' https://keys.example: exit code 3"
    )
    assert "abcdef" not in f"{error}{error.what}{error.details}{error.next_step}"


@pytest.mark.parametrize("command", ["'unclosed", "#", "''"])
def test_what_is_no_command_line_is_not_run(context: World, command: str) -> None:
    context.answer = PermissionError(13, "Permission denied")
    assert missing(context, f"cmd:{command}").tried


def test_a_real_program_is_run_without_input_and_ended_with_its_children(tmp_path: Path) -> None:
    program = "import sys; print(sys.stdin.read() + 'out'); print('err', file=sys.stderr); sys.exit(3)"
    assert run_program([sys.executable, "-c", program], 30) == (3, b"out\n", b"err\n")
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        run_program(["sh", "-c", "sleep 30 & sleep 30"], 0.2)
    assert time.monotonic() - started < 10


def test_an_agent_that_a_program_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    agent = (
        "import subprocess, sys; subprocess.Popen(['sleep', '30'], start_new_session=True); print('the-key')"
    )
    started = time.monotonic()
    assert run_program([sys.executable, "-c", agent], 20) == (0, b"the-key\n", b"")
    assert time.monotonic() - started < 10


def test_a_program_that_gives_its_output_away_is_still_ended_in_time() -> None:
    agent = (
        "import subprocess, time; subprocess.Popen(['sleep', '30'], start_new_session=True); time.sleep(30)"
    )
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        run_program([sys.executable, "-c", agent], 0.5)
    assert time.monotonic() - started < 10


def test_a_program_that_never_stops_printing_is_ended_at_once_and_waited_for() -> None:
    started = time.monotonic()
    code, out, _ = run_program(["yes"], 30)
    assert (code, time.monotonic() - started < 10) == (-9, True)
    assert 65536 < len(out) < 1024 * 1024


def test_what_a_program_tells_as_an_error_is_read_in_part_and_never_blocks_it() -> None:
    program = "import sys; sys.stderr.write('x' * 1_000_000); print('the-key')"
    code, out, err = run_program([sys.executable, "-c", program], 30)
    assert (code, out, len(err) < 200_000) == (0, b"the-key\n", True)


def test_the_keyring_is_asked_by_service_and_user_and_kept(context: World) -> None:
    context.ring["mimo", "me/b"] = "from-the-ring"
    assert context.vault.peek(key("keyring:mimo/me/b")) is None
    assert context.vault.secret(key("keyring:mimo/me/b")) == Secret("from-the-ring")
    context.ring.clear()
    assert context.vault.peek(key("keyring:mimo/me/b")) == Secret("from-the-ring")
    assert "no entry: keyring set mimo you" in str(missing(context, "keyring:mimo/you"))


def test_a_keyring_that_is_missing_or_broken_is_reported_without_its_words(tmp_path: Path) -> None:
    def absent() -> Any:
        raise ImportError

    def refuse(*_: str) -> str:
        raise RuntimeError("the password is hunter2")

    for load, why in (
        (absent, install_command("keyring")),
        (lambda: SimpleNamespace(get_password=refuse), "the keyring refused: RuntimeError"),
    ):
        with pytest.raises(SecretMissing) as caught:
            Vault(tmp_path / "s", keyring=load).secret(key("keyring:a/b"))
        assert why in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_a_kept_key_belongs_to_its_provider_and_follows_other_processes(context: World) -> None:
    SecretsFile(context.vault.file.path).put("mimo", "b", Secret("value-of-b"))
    SecretsFile(context.vault.file.path).put("other", "c", Secret("value-of-c"))
    reference = key("store:b")
    assert context.vault.peek(reference) is None
    assert context.vault.secret(reference) == Secret("value-of-b")
    assert context.vault.peek(reference) == Secret("value-of-b")
    assert f"not in {context.vault.file.path}" in str(missing(context, "store:c"))
    SecretsFile(context.vault.file.path).put("mimo", "b", Secret("another-value-of-b"))
    assert context.vault.peek(reference) is None
    assert context.vault.secret(reference) == Secret("another-value-of-b")


def test_reading_again_says_whether_the_value_changed(context: World) -> None:
    reference = key("cmd:x")
    context.vault.secret(reference)
    assert context.vault.reread(reference) is False
    context.answer = (0, b"a-new-token", b"")
    assert context.vault.peek(reference) == Secret("from-a-program")
    assert context.vault.reread(reference) is True
    assert context.vault.peek(reference) == Secret("a-new-token")
    context.answer = (1, b"", b"")
    with pytest.raises(SecretMissing):
        context.vault.reread(reference)
    assert context.vault.peek(reference) is None


def test_many_threads_run_a_program_once(context: World) -> None:
    started = threading.Barrier(8)
    secrets: list[Secret] = []

    def ask() -> None:
        started.wait()
        secrets.append(context.vault.secret(key("cmd:x")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(secrets), len(context.runs)) == (8, 1)


def test_a_fingerprint_is_of_the_secret_and_for_a_program_of_the_command(context: World) -> None:
    context.environ["A"] = "one-value"
    assert context.vault.fingerprint(key("env:A"), PEPPER) == Secret("one-value").fingerprint(PEPPER)
    assert context.vault.fingerprint(key("env:A"), b"q" * 32) == Secret("one-value").fingerprint(b"q" * 32)
    context.environ["A"] = "other-value"
    assert context.vault.fingerprint(key("env:A"), PEPPER) == Secret("other-value").fingerprint(PEPPER)
    assert context.vault.fingerprint(key("env:B"), PEPPER) is None
    before = context.vault.fingerprint(key("cmd:x"), PEPPER)
    context.vault.secret(key("cmd:x"))
    assert context.vault.fingerprint(key("cmd:x"), PEPPER) == before is not None
    assert context.vault.fingerprint(key("cmd:y"), PEPPER) != before


def test_every_secret_seen_of_late_is_known_for_redaction(context: World) -> None:
    context.environ["A"] = "value-0"
    for number in range(9):
        context.environ["A"] = f"value-{number}"
        context.vault.peek(key("env:A"))
    context.vault.secret(key("cmd:x"))
    known = context.vault.known()
    assert {Secret("value-8"), Secret("value-7"), Secret("from-a-program")} <= set(known)
    assert len(known) == 5


def test_a_known_key_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_KEY_OF_MINE", "some-value")
    vault, reference = Vault(tmp_path / "s"), key("env:A_KEY_OF_MINE")
    assert vault.secret(reference) == Secret("some-value")
    rounds = (timeit.timeit(lambda: vault.peek(reference), number=500) / 500 for _ in range(80))
    limit = 10e-6
    if sys.gettrace() is not None:  # coverage looks at every line
        limit *= 4
    assert any(each < limit for each in rounds)


def test_the_pepper_is_made_once_and_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = Vault(home / "secrets.toml").pepper()
    assert len(first) == 32
    assert Vault(home / "secrets.toml").pepper() == first
    assert ((home / "pepper").stat().st_mode & 0o777, home.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_home_that_is_made_is_private_all_the_way_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Vault(tmp_path / "a" / "b" / "secrets.toml").pepper()
    finally:
        os.umask(before)
    made = [
        tmp_path / "a",
        tmp_path / "a" / "b",
        tmp_path / "a" / "b" / "pepper",
        tmp_path / "a" / "b" / ".pepper.lock",
    ]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o700, 0o600, 0o600]


def test_processes_that_make_the_pepper_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    code = (
        "from holdfast.credentials import Vault; from pathlib import Path; "
        f"print(Vault(Path({str(tmp_path)!r}, 'secrets.toml')).pepper().hex())"
    )
    children = [Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    assert len({child.communicate()[0] for child in children}) == 1


@pytest.mark.parametrize("content", ["", "00ff", "not hexadecimal"])
def test_a_damaged_pepper_is_reported_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "pepper").write_text(content)
    with pytest.raises(ConfigError, match="pepper is damaged"):
        Vault(tmp_path / "secrets.toml").pepper()
    assert (tmp_path / "pepper").read_text() == content


def test_a_pepper_is_read_where_its_reference_leads_and_no_file_is_made(tmp_path: Path) -> None:
    digits = "5a" * 32
    (tmp_path / "mounted").write_text(digits + "\n")
    (tmp_path / "mounted").chmod(0o600)
    home, environ = tmp_path / "home", {"PEPPER": digits, "SHORT": "5a5a"}

    def pepper(reference: str) -> bytes:
        vault = Vault(
            home / "secrets.toml",
            environ=environ,
            run=lambda *_: (0, digits.encode(), b""),
            pepper=lambda: reference,
        )
        return vault.pepper()

    references = ("env:PEPPER", f"file:{tmp_path}/mounted", "cmd:print-it")
    assert {pepper(reference) for reference in references} == {bytes.fromhex(digits)}
    for reference, reason in (("env:NONE", "not set"), ("env:SHORT", "does not hold 64 hexadecimal digits")):
        with pytest.raises(ConfigError, match=rf"store.pepper: env: .*{reason}") as error:
            pepper(reference)
        assert "token_hex(32)" in str(error.value.next_step)
        assert "5a5a" not in f"{error.value!r}{error.value.__context__!r}"
    assert not home.exists()


def test_a_pepper_that_cannot_be_read_or_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*pepper: Is a directory"):
        Vault(tmp_path / "secrets.toml").pepper()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*pepper: "):
        Vault(tmp_path / "file" / "secrets.toml").pepper()


def test_importing_the_vault_and_the_configuration_file_is_cheap() -> None:
    code = "import sys, holdfast.config, holdfast.credentials; print(*sys.modules)"
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {
        "tomlkit",
        "platformdirs",
        "subprocess",
        "keyring",
        "pydantic",
        "tomllib",
        "shlex",
        "fcntl",
    }
