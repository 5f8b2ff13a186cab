"""The compose file, read by the rules of such files, and its Caddy, run in front of two gateways."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from gateway.served import CHAT, Served, eventually, provider, write_config
from holdfast.config.home import understood
from holdfast.fake_provider import Behaviour, ScriptedProvider, ok

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "compose"
CADDY = str(ROOT / ".venv-packaging" / "bin" / "caddy")
Judge = Callable[..., dict[str, Any]]


def test_the_compose_file_is_one_and_its_parts_agree(judged: Judge) -> None:
    judgement = judged(compose=str(FOLDER / "compose.yaml"))
    assert judgement["problems"] == []
    file = judgement["file"]
    gateway = file["services"]["gateway-1"]
    assert gateway == file["services"]["gateway-2"]
    config = understood(file["configs"]["holdfast"]["content"], Path("holdfast.toml"), str, "wrong:")
    (key,) = config.providers["acme"].keys
    assert key.ref == f"file:{gateway['secrets'][0]['target']}"
    assert float(gateway["stop_grace_period"][:-1]) >= config.gateway.drain + 50
    assert (ROOT / gateway["build"]["dockerfile"]).exists()
    variables = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    variables |= {each["environment"] for each in file["secrets"].values()}
    assert variables == set(re.findall(r"^(\w+)=", (FOLDER / "env.example").read_text(), re.MULTILINE))


def test_the_judge_sees_a_mistake(judged: Judge, tmp_path: Path) -> None:
    text = (FOLDER / "compose.yaml").read_text()
    mistakes = {"stop_grace_period": "stop_grace", "networks: [back]": "networks: back"}
    for right, wrong in mistakes.items():
        (tmp_path / "compose.yaml").write_text(text.replace(right, wrong))
        assert judged(compose=str(tmp_path / "compose.yaml"))["problems"]


def environ_of(tmp_path: Path, **more: str) -> dict[str, str]:
    own = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    return os.environ | own | more


def test_caddy_takes_its_file_as_the_compose_file_sets_it(judged: Judge, tmp_path: Path) -> None:
    given = judged(compose=str(FOLDER / "compose.yaml"))["file"]["services"]["caddy"]["environment"]
    environ = environ_of(tmp_path, **given | {"SITE": "llm.example.com"})
    command = [CADDY, "adapt", "--pretty", "--validate", "--config", str(FOLDER / "Caddyfile")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"dial": "gateway-2:4141"' in done.stdout
    assert "not formatted" not in done.stderr


@contextmanager
def caddy(tmp_path: Path, *ports: int) -> Iterator[str]:
    """Caddy with its file, in front of gateways at these ports; gives its root URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = environ_of(
        tmp_path,
        SITE=f"http://localhost:{port}",
        GATEWAYS=" ".join(f"127.0.0.1:{port}" for port in ports),
        CADDY_ADMIN="127.0.0.1:0",
    )
    command = [CADDY, "run", "--config", str(FOLDER / "Caddyfile")]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            root = f"http://localhost:{port}"
            eventually(lambda: _answers(root), 20)
            yield root
        finally:
            process.terminate()


def _answers(root: str) -> bool:
    try:
        return httpx2.get(f"{root}/health/live", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def test_one_gateway_after_the_other_is_upgraded_behind_caddy_and_no_request_fails(
    home: Path, tmp_path: Path
) -> None:
    seen: Counter[object] = Counter()
    ends = threading.Event()
    slow = Behaviour(text=" ".join(map(str, range(40))), event_delay=0.05)
    with ScriptedProvider(ok("fine")) as behind, ScriptedProvider(slow) as trickling:
        write_config(home, provider("p", behind.url) + provider("t", trickling.url))
        first = Served(home)
        second = Served(home, token=first.token)
        headers = {"authorization": f"Bearer {first.token}"}

        def ask(root: str, model: str, number: int) -> None:
            body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
            path = f"{root}/s/{number}{CHAT}"
            with httpx2.Client(trust_env=False, timeout=30) as client:
                while not ends.is_set():
                    answer = client.post(path, json=body | {"stream": model == "t/m"}, headers=headers)
                    whole = model == "p/m" or "[DONE]" in answer.text
                    seen[model, answer.status_code, whole] += 1

        with caddy(tmp_path, first.port, second.port) as root:
            threads = [
                threading.Thread(target=ask, args=(root, ("p/m", "t/m")[number % 2], number))
                for number in range(6)
            ]
            for thread in threads:
                thread.start()
            gateways = [first, second]
            for number, old in enumerate([first, second]):
                time.sleep(3)  # as long as Caddy needs to see that a gateway is there
                assert old.end(signal.SIGTERM, patience=40) == 0
                gateways[number] = Served(home, "--listen", f"127.0.0.1:{old.port}", token=first.token)
            time.sleep(3)
            ends.set()
            for thread in threads:
                thread.join()
            for gateway in gateways:
                gateway.end()
    assert set(seen) == {("p/m", 200, True), ("t/m", 200, True)}, seen
    assert seen["p/m", 200, True] > 100
