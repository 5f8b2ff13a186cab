"""`holdfast serve` as it is run: where it says it is, what it refuses to begin, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from children import Popen, run
from gateway.served import Served, eventually, provider, serving, write_config
from holdfast.fake_provider import Behaviour, ScriptedProvider, ok, status, truncated
from holdfast.gateway.admin.routes import _ROUTES
from holdfast.store.sqlite import SqliteStore

NOTHING = 'auth = "none"'


def begun(home: Path, *arguments: str) -> Any:
    """A serve that is expected to end by itself."""
    command = [sys.executable, "-m", "holdfast", "serve", *arguments]
    return run(
        command,
        env={**os.environ, "HOLDFAST_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_it_tells_one_line_with_its_place_and_the_first_token_and_a_restart_keeps_the_token(
    home: Path,
) -> None:
    with ScriptedProvider(ok("hello")) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, start=subprocess.Popen) as served:
            assert set(served.told) == {"url", "pid", "workers", "token"}
            assert served.told["url"] == f"http://127.0.0.1:{served.port}"
            assert served.told["pid"] == served.process.pid  # exec, not a child: signals reach it
            answer = served.chat()
            assert (answer.status_code, answer.json()["choices"][0]["message"]["content"]) == (200, "hello")
            assert served.chat(token="hf-00000000-guess").status_code == 401
        with serving(home, token=served.token) as again:
            assert set(again.told) == {"url", "pid", "workers"}
            assert again.chat().status_code == 200
        assert served.token.encode() not in b"".join(
            path.read_bytes() for path in home.iterdir() if path.is_file()
        )


def test_the_start_shows_a_person_how_to_point_the_sdks_at_it(home: Path) -> None:
    write_config(home, "")
    command = [sys.executable, "-m", "holdfast", "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command,
        env={**os.environ, "HOLDFAST_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        output = "".join(process.stdout.readline() for _ in range(6))
        process.terminate()
    (url,) = set(re.findall(r"http://127\.0\.0\.1:\d+", output))
    (token,) = set(re.findall(r"hf-[0-9a-f]{8}-[\w-]{43}", output))
    assert f"OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={token}" in output
    assert f"ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={token}" in output
    assert "shown this once" in output
    assert "warning: there is no provider yet; run: holdfast setup" in output


REFUSED = [
    (("--listen", "0.0.0.0:0"), "", "can be reached from other machines", "--public"),
    (("--listen", "nowhere"), "", "is no address to listen on", "--listen 127.0.0.1:4141"),
    (("--listen", "127.0.0.1:99999"), "", "is no address to listen on", ""),
    (("--listen", "192.0.2.1:0", "--public"), "", "this machine has no such address", "any free port"),
    ((), "[provider.", "the file ends too early", "EDITOR"),
    ((), '[provider.p]\nurl = "https://x.example/v1"\nmodles = []\n', "did you mean", "holdfast doctor"),
    (("--workers", "2"), '[gateway]\nstore = "memory:"\n', "cannot be shared", "--workers 1"),
]


@pytest.mark.parametrize(("arguments", "config", "what", "run"), REFUSED)
def test_what_cannot_be_served_is_refused_before_anything_begins(
    arguments: tuple[str, ...], config: str, what: str, run: str, home: Path
) -> None:
    write_config(home, config)
    listen = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
    done = begun(home, *arguments, *listen)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
    assert run in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_reported_also_when_another_gateway_has_it(workers: str, home: Path) -> None:
    write_config(home, "")
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = begun(home, "--listen", f"127.0.0.1:{other.getsockname()[1]}", "--workers", workers)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the port is taken by another program" in done.stderr
    with serving(home, "--workers", "2") as served:
        done = begun(home, "--listen", f"127.0.0.1:{served.port}", "--workers", workers, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    error = json.loads(done.stderr)["error"]
    assert "taken by a gateway of this home" in error["what"]
    assert "serve --replace" in error["run"]


def test_another_address_is_served_where_that_was_asked_for(home: Path) -> None:
    write_config(home, '[gateway]\nlisten = "0.0.0.0:0"\npublic = true\n')
    command = [sys.executable, "-m", "holdfast", "serve", "--json"]
    with Popen(
        command,
        env={**os.environ, "HOLDFAST_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        process.terminate()
    assert started["url"].startswith("http://127.0.0.1:")


def test_a_store_that_cannot_be_opened_ends_it_with_what_to_do(home: Path) -> None:
    write_config(home, "")
    (home / "state.db").write_text("not a database, but long enough to be taken for one" * 9)
    for workers in ("1", "2"):
        done = begun(home, "--listen", "127.0.0.1:0", "--workers", workers)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is not a database" in done.stderr
        assert "holdfast doctor" in done.stderr


def test_a_module_in_the_working_directory_is_not_run(home: Path, tmp_path: Path) -> None:
    trap = tmp_path / "project"
    (trap / "holdfast").mkdir(parents=True)
    for name in ("asyncio.py", "uvloop.py", "json.py", "secrets.py", "holdfast/__init__.py"):
        (trap / name).write_text("raise SystemExit('hijacked')")
    write_config(home, "")
    # The command itself begins as an installed script does, without the directory on its path.
    program = (
        "import sys; from holdfast.cli import main; sys.exit(main(['serve', '--listen', '127.0.0.1:0', "
        "'--json']))"
    )
    command = [sys.executable, "-P", "-c", program]
    with subprocess.Popen(
        command,
        env={**os.environ, "HOLDFAST_HOME": str(home)},
        cwd=trap,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        assert "url" in json.loads(line)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_first_signal_lets_a_running_stream_end_and_takes_nothing_new(workers: str, home: Path) -> None:
    slow = Behaviour(text=" ".join(map(str, range(30))), event_delay=0.1)
    with ScriptedProvider(slow) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", workers) as served, served.stream() as stream:
            pieces = stream.iter_text()
            text = next(pieces)
            eventually(
                lambda: (
                    (metrics := served.metrics())["open_streams"]
                    == metrics['open_connections{side="provider"}']
                    == 1
                )
            )
            ended: list[int] = []
            ending = threading.Thread(target=lambda: ended.append(served.end()))
            ending.start()
            eventually(lambda: _refuses(served.port), 1.5)
            assert not ended
            text += "".join(pieces)
            ending.join()
    assert "[DONE]" in text
    assert ended == [0]


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stream_that_outlives_the_patience_is_cut_and_that_is_logged(workers: str, home: Path) -> None:
    with ScriptedProvider(Behaviour(text=" ".join("abcdefghijklmnopqrstuvwxyz"), event_delay=0.5)) as behind:
        write_config(home, provider("p", behind.url) + '[gateway]\ndrain = "200ms"\n')
        with serving(home, "--workers", workers) as served, served.stream() as stream:
            pieces = stream.iter_text()
            next(pieces)
            began = time.monotonic()
            assert served.end() == 0
            assert time.monotonic() - began < 3
            assert sum(event.get("cut_off", 0) for event in served.logged("ended")) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_cuts_what_is_running(workers: str, home: Path) -> None:
    with ScriptedProvider(Behaviour(text=" ".join("abcdefghijklmnopqrstuvwxyz"), event_delay=0.5)) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", workers) as served, served.stream() as stream:
            pieces = stream.iter_text()
            next(pieces)
            served.process.terminate()
            eventually(lambda: _refuses(served.port))
            began = time.monotonic()
            assert served.end() == 0
            assert time.monotonic() - began < 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_ends_it_with_130(workers: str, home: Path) -> None:
    write_config(home, "")
    served = Served(home, "--workers", workers)
    assert served.end(signal.SIGINT) == 130


def test_the_log_is_json_with_what_went_wrong_and_without_keys_or_prompts(home: Path) -> None:
    canary = "sk-canary-0f4e2b7d95c8a136"
    refused = status(
        401, {"error": {"message": f"Incorrect API key provided: {canary}", "code": "invalid_api_key"}}
    )
    answers = [ok("fine"), truncated(), refused]
    with ScriptedProvider(answers) as behind:
        write_config(home, provider("p", behind.url, keys=["env:CANARY"]) + "[settings]\nprobe_delays = []\n")
        with serving(home, environ={"CANARY": canary}) as served:
            served.chat()
            with served.stream() as stream:
                stream.read()
            served.chat()
            served.ask("/v1/nothing")
            served.chat(token="hf-00000000-guess")
            metrics = served.metrics()
        written = "".join(served.errors)
    assert [event["event"] for event in served.log if event["event"] in ("started", "ended")] == [
        "started",
        "ended",
    ]
    (fault,) = served.logged("fault")
    assert (fault["status"], fault["fault"], fault["pin"], fault["key"], fault["route"]) == (
        401,
        "auth_rejected",
        "p/m",
        "CANARY",
        "chat/completions",
    )
    assert fault["request"]
    assert [(event["status"], event["code"]) for event in served.logged("refused")] == [
        (404, "unknown_route"),
        (401, "invalid_token"),
    ]
    assert (
        metrics['local_responses_total{status="401",route="chat/completions"}']
        == metrics['local_responses_total{status="404",route="other"}']
        == 1
    )
    (cut,) = served.logged("broken-stream")
    assert (cut["fault"], cut["status"], cut["pin"], cut["streamed"]) == ("transient", 200, "p/m", True)
    assert metrics['broken_streams_total{provider="p",class="transient"}'] == 1
    assert canary not in written
    assert served.token not in written
    assert '"hi"' not in written


def test_an_access_log_has_a_line_for_every_request_and_their_usage_is_exact_after_the_end(
    home: Path,
) -> None:
    with ScriptedProvider(ok("fine")) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--access-log") as served:
            for _ in range(3):
                served.chat()
        lines = served.logged("answered")
    assert [(line["status"], line["route"], line["pin"]) for line in lines] == [
        (200, "chat/completions", "p/m")
    ] * 3
    assert all(line["seconds"] >= 0 and line["bytes"] > 0 for line in lines)
    with SqliteStore(home / "state.db") as store:
        (counted,) = store.usage(["pin"])
    assert (counted.pin, counted.requests) == ("p/m", 3)


def test_it_is_ready_at_once_and_small(home: Path) -> None:
    """The promises are 0.5 s and 50 MB on a quiet machine. Machines differ and are shared, so time is CPU of
    the whole start, and the best of three starts."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc on this system")
    write_config(home, "")
    starts = []
    for _ in range(3):
        with serving(home, start=subprocess.Popen) as served:
            process = Path(f"/proc/{served.process.pid}")
            fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
            pages = int(process.joinpath("statm").read_text().split()[1])
        starts.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        if starts[-1] < 1.0:
            break
    assert min(starts) < 1.0
    assert pages * os.sysconf("SC_PAGE_SIZE") < 50 * 1024**2


def test_head_is_answered_like_get_without_the_body(home: Path) -> None:
    with ScriptedProvider(ok("fine")) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home) as served:
            done = served.chat(holdfast_session="s")
            request = done.headers["holdfast-request-id"]
            below = ("/models/p/m", "/models/no/such", "/holdfast/session/s", f"/holdfast/requests/{request}")
            for path in (*_ROUTES, *(f"/v1{path}" for path in _ROUTES), *below, "/nothing"):
                for token in (served.token, "hf-00000000-guess", ""):
                    assert _answer(served, "HEAD", path, token) == _answer(served, "GET", path, token), path


def _answer(served: Served, method: str, path: str, token: str) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer, which has a body where its length says so; to HEAD none."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = served.client.request(method, path, headers=headers)
    assert bool(answer.content) == (method == "GET" and answer.headers["content-length"] != "0")
    changing = ("date", "content-length") if "/holdfast/" in path or "metrics" in path else ("date",)
    return answer.status_code, {name: value for name, value in answer.headers.items() if name not in changing}
