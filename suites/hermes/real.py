"""hermes-agent 0.19.0 itself, in an environment of its own (`.venv-hermes`), driven as its TUI and its
editors drive it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PYTHON = Path(__file__).resolve().parents[2] / ".venv-hermes" / "bin" / "python"
PATIENCE = 120.0
Message = dict[str, Any]

OVER_ACP = """
import sys
from acp_adapter.session import SessionManager
manager = SessionManager()
if sys.argv[1] == "new":
    state = manager.create_session(cwd=".")
else:
    state = manager.get_session(sys.argv[1])
    assert state is not None, "hermes could not restore the session"
state.agent._print_fn = lambda *_, **__: None
told = state.agent.run_conversation(
    "hello", conversation_history=list(state.history), task_id=state.session_id
)
state.history = told.get("messages") or state.history
manager.save_session(state.session_id)
print(state.session_id)
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without anybody's keys and proxies, and a home of hermes's own. Hermes installs nothing
    besides what its lock names."""
    foreign = ("_PROXY", "_proxy", "_API_KEY", "_BASE_URL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith(foreign) and not name.startswith("HERMES")
    }
    own = {"HOME": str(home), "HERMES_HOME": str(home), "NO_PROXY": "*", "HERMES_DISABLE_LAZY_INSTALLS": "1"}
    return {**kept, **own, **more}


class Tui:
    """The program behind hermes's TUI and desktop windows: JSON-RPC, a line each way."""

    def __init__(self, home: Path, **more: str) -> None:
        self._log = (home / "tui.log").open("a")
        command = [PYTHON, "-m", "tui_gateway.entry"]
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment(home, **more),
            cwd=home,
        )
        self._said: queue.Queue[Message] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._count = 0
        self._until(lambda event: _event(event) == "gateway.ready")

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._said.put(json.loads(line))

    def _until(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the first message that is wanted. What hermes says is printed: pytest shows it when the test
        fails. Raises queue.Empty after a silence of PATIENCE."""
        while True:
            message = self._said.get(timeout=PATIENCE)
            sys.stdout.write(f"hermes: {json.dumps(message)[:2000]}\n")
            if wanted(message):
                return message

    def call(self, method: str, **params: Any) -> Message:
        """The result of one call. Raises AssertionError with the error that hermes gives."""
        assert self._child.stdin is not None
        self._count += 1
        count = self._count
        self._child.stdin.write(
            json.dumps({"jsonrpc": "2.0", "id": count, "method": method, "params": params}) + "\n"
        )
        self._child.stdin.flush()
        answer = self._until(lambda message: message.get("id") == count)
        assert "result" in answer, answer
        result: Message = answer["result"]
        return result

    def say(self, session: str) -> str:
        """One turn, to its end, whatever that is; what hermes shows its user at last."""
        last = self._turn(session)
        if last.get("message") == "agent initialization timed out":  # after half a minute
            self._until(lambda event: _event(event) == "session.info")
            last = self._turn(session)
        return str(last.get("text", last.get("message")))

    def _turn(self, session: str) -> Message:
        self.call("prompt.submit", session_id=session, text="hello")
        last = self._until(lambda event: _event(event) in ("message.complete", "error"))
        payload: Message = last["params"].get("payload", {})
        return payload

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write(Path(self._log.name).read_text("utf-8", "replace")[-4000:])
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.wait(PATIENCE)
        self._reader.join()
        self._child.stdout.close()
        self._log.close()


def _event(message: Message) -> str:
    return str(message.get("params", {}).get("type")) if message.get("method") == "event" else ""


def begin_in_tui(home: Path, **chosen: str) -> str:
    """A new session with one turn; its id."""
    with Tui(home) as tui:
        begun = tui.call("session.create", **chosen)
        tui.say(begun["session_id"])
        return str(begun["stored_session_id"])


def resume_in_tui(home: Path, session: str) -> None:
    """Another process resumes it and takes one turn."""
    with Tui(home) as tui:
        tui.say(tui.call("session.resume", session_id=session)["session_id"])


def add_key(home: Path, provider: str, label: str, key: str) -> None:
    """`hermes auth add`: another key for the pool of a provider that hermes knows."""
    command = [
        PYTHON.parent / "hermes",
        "auth",
        "add",
        provider,
        "--type",
        "api-key",
        "--label",
        label,
        "--api-key",
        key,
    ]
    done = subprocess.run(
        command,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def over_acp(home: Path, session: str = "new", **more: str) -> str:
    """A turn of a session as an editor takes it over ACP; its id."""
    done = subprocess.run(
        [PYTHON, "-c", OVER_ACP, session],
        env=environment(home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()[-1]
