"""The one list of the gateways of a home that run now, and the proof that a listener is one of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from holdfast.cli.connect import _token_command
from holdfast.cli.context import CliContext
from holdfast.core.errors import ConfigError
from holdfast.distribution.interpreter import module_command
from holdfast.gateway import registry
from holdfast.gateway.embedded import serving as running_program
from holdfast.gateway.listener import Listener, proof, proof_key, who_listens
from holdfast.gateway.registry import RUN, SERVE, RunningGateway, registered, root_url, running, standing
from holdfast.gateway.show_token import main as show_token
from holdfast.sdk.api import open as open_home
from holdfast.testing import ScriptedProvider

from .served import eventually, serving, write_config
from .served import provider as entry  # type: ignore[import-not-found]

AT = "http://127.0.0.1:4141"
KEY = proof_key(b"p" * 32)


def test_a_gateway_is_listed_as_long_as_it_lives(tmp_path: Path) -> None:
    assert running(tmp_path) == []
    with registered(tmp_path, "one", AT, SERVE), registered(tmp_path, "two", f"{AT}1", RUN):
        assert [(each.instance, each.url, each.pid) for each in running(tmp_path)] == [
            ("one", AT, os.getpid()),
            ("two", f"{AT}1", os.getpid()),
        ]
        assert [each.instance for each in standing(tmp_path)] == ["one"]
    assert running(tmp_path) == []
    assert [*registry.directory_of(tmp_path).iterdir()] == []


def test_what_a_killed_gateway_left_is_not_taken_for_one_whose_process_id_is_used_again(
    tmp_path: Path,
) -> None:
    with registered(tmp_path, "live", AT, SERVE):
        path = registry.directory_of(tmp_path) / "live.json"
        left = path.with_name("dead.json")
        left.write_text(path.read_text())  # the process id in it is that of a living process: ours
        left.with_suffix(".sock").touch()
        path.with_name("empty.json").touch()
        assert [each.instance for each in running(tmp_path)] == ["live"]
        assert [each.pid for each in registry.listed(tmp_path)[1]] == [os.getpid()]
    with registered(tmp_path, "run", AT, RUN):
        assert len(registry.listed(tmp_path)[1]) == 1
    with registered(tmp_path, "next", AT, SERVE):
        assert registry.listed(tmp_path)[1] == []
    assert [*registry.directory_of(tmp_path).iterdir()] == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"instance": "x"}', '{"odd": 1}'])
def test_an_entry_that_cannot_be_read_hides_no_other(tmp_path: Path, text: str) -> None:
    with registered(tmp_path, "live", AT, SERVE), registered(tmp_path, "odd", AT, SERVE):
        (registry.directory_of(tmp_path) / "odd.json").write_text(text)
        assert [each.instance for each in running(tmp_path)] == ["live"]


def test_a_home_that_cannot_be_written_still_serves(tmp_path: Path) -> None:
    (tmp_path / "gateways").write_text("in the way")
    with registered(tmp_path, "one", AT, SERVE):
        assert running(tmp_path) == []


def _at(url: str) -> RunningGateway:
    return RunningGateway(instance=url, url=url, pid=1, version="1", kind=SERVE, since=0.0)


@pytest.mark.parametrize(
    ("urls", "chosen"),
    [((), AT), ((AT,), AT), (("http://a:1",), "http://a:1"), (("http://a:1", AT), AT)],
)
def test_clients_are_sent_to_the_gateway_that_runs(urls: tuple[str, ...], chosen: str) -> None:
    assert root_url([_at(url) for url in urls], AT) == chosen


def test_no_gateway_is_guessed_where_several_run_elsewhere() -> None:
    with pytest.raises(ConfigError, match="http://a:1") as raised:
        root_url([_at("http://a:1"), _at("http://b:1")], AT)
    assert raised.value.next_step.startswith("holdfast status")


def test_a_proof_holds_for_one_key_one_address_and_one_challenge() -> None:
    good = proof(KEY, "c", ("127.0.0.1", 4141))
    assert good == proof(KEY, "c", ("::ffff:127.0.0.1", 4141))
    others = [
        proof(proof_key(b"q" * 32), "c", ("127.0.0.1", 4141)),
        proof(KEY, "d", ("127.0.0.1", 4141)),
        proof(KEY, "c", ("::1", 4141)),
        proof(KEY, "c", ("127.0.0.1", 4142)),
    ]
    assert good not in others
    assert len(set(others)) == 4
    assert proof(KEY, "", ("127.0.0.1", 1)) == proof(b"", "c", ("127.0.0.1", 1)) == ""
    assert proof(KEY, "c" * 200, ("127.0.0.1", 1)) == ""


@contextmanager
def listening(answer: bytes = b"", relay_to: int = 0) -> Iterator[str]:
    """Another program at an address: it says `answer`, or passes everything on to a port. Gives its URL."""
    server = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                asked = sock.recv(65536)
                if relay_to:
                    with socket.create_connection(("127.0.0.1", relay_to)) as real:
                        real.sendall(asked)
                        sock.sendall(real.recv(65536))
                else:
                    sock.sendall(answer)

    threading.Thread(target=work, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nholdfast-proof: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nholdfast-proof: " + b"0" * 64 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nholdfast-proof: \xff\r\n\r\n",
        b"x" * 20_000,
    ],
)
@pytest.mark.parametrize("key", [KEY, b""])
def test_a_program_that_took_the_port_is_no_gateway_of_ours(answer: bytes, key: bytes) -> None:
    with listening(answer) as url:
        assert who_listens(url, key) is Listener.STRANGER
    assert who_listens(url, key) is Listener.NOBODY


def test_a_program_that_took_the_port_is_shown_no_token_though_it_asks_the_real_gateway(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], provider: ScriptedProvider
) -> None:
    write_config(home, entry("p", provider.url))
    token, pepper = tmp_path / "token", home / "pepper"
    token.write_text("hf-canary\n")
    with serving(home) as served:
        url = served.told["url"]
        (listed,) = running(home)
        assert (listed.url, listed.pid, listed.kind) == (url, served.process.pid, SERVE)
        assert served.ask("/holdfast/status").json()["gateways"] == [asdict(listed)]
        assert show_token([url, str(pepper), str(token)]) == 0
        assert capsys.readouterr().out == "hf-canary"
        with listening(relay_to=served.port) as elsewhere:
            assert show_token([elsewhere, str(pepper), str(token)]) == 1
        shown = capsys.readouterr()
        assert "is not the gateway of this home" in shown.err
        assert "canary" not in shown.out + shown.err
        assert served.ask("/health/live", token="").headers.get("holdfast-proof") is None
    assert running(home) == []
    assert show_token([url, str(pepper), str(token)]) == 1
    assert "no gateway listens" in capsys.readouterr().err
    assert show_token([url, str(pepper), str(tmp_path / "gone")]) == 1
    assert "cannot read the token" in capsys.readouterr().err


def test_a_gateway_whose_pepper_is_elsewhere_proves_itself_too(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared-pepper").write_text("5e" * 32)
    (tmp_path / "shared-pepper").chmod(0o600)
    (tmp_path / "token").write_text("hf-canary\n")
    write_config(home, f'[store]\npepper = "file:{tmp_path}/shared-pepper"\n')
    context = CliContext()
    with serving(home) as served:
        url = served.told["url"]
        assert context.listener_at(url) is Listener.OURS
        command = _token_command(context, url, tmp_path / "token")
        assert show_token(command[-3:]) == 0
        assert capsys.readouterr().out == "hf-canary"
        (tmp_path / "shared-pepper").unlink()
        assert show_token(command[-3:]) == 1
        refused = capsys.readouterr().err
        assert "cannot prove whose gateway listens" in refused
        assert "store.pepper: file:" in refused
    assert not (home / "pepper").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_gateway_that_was_killed_is_not_listed_any_more(
    home: Path, provider: ScriptedProvider, workers: str
) -> None:
    write_config(home, entry("p", provider.url))
    with serving(home, "--workers", workers) as served:
        assert [each.pid for each in running(home)] == [served.process.pid]
        served.process.send_signal(signal.SIGKILL)
        served.process.wait(10)
        eventually(lambda: running(home) == [])


def test_the_gateway_of_a_run_is_listed_and_proves_itself(home: Path, provider: ScriptedProvider) -> None:
    write_config(home, entry("p", provider.url))
    with open_home(home) as opened:
        pin = opened.session("s", "p/m").pin
        with running_program(opened.engine, "s", pin) as gate:
            assert [(each.kind, each.url) for each in running(home)] == [(RUN, gate.root)]
            assert standing(home) == []
            key = proof_key(opened.engine.vault.pepper())
            assert who_listens(gate.root, key) is Listener.OURS
        assert running(home) == []


def test_the_command_that_shows_a_token_runs_nothing_of_the_directory_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "holdfast").mkdir()
    for name in ("holdfast/__init__.py", "secrets.py", "socket.py"):
        (tmp_path / name).write_text("raise SystemExit('run by mistake')")
    made = subprocess.run(
        module_command("holdfast.gateway.show_token", AT, str(tmp_path / "no"), "no"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot read the token" in made.stderr
