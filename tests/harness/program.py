"""A program that reads what Pi reads and does what its arguments say, to be given a connection: `program.py
--do STEP…`.

Steps: `ask` (the model it was given), `ask=MODEL`, `ask-direct=MODEL` (without looking into its file for the
model), `report=PATH` (write down environment, arguments and files), `rewrite` (its own models.json),
`signal=N` (send it to itself), `wait=PATH` (until it is there), `exit=N`. What it is not told to do, it does
not."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path


def ask(model: str) -> tuple[int, str]:
    """One chat request to the provider that the file names, with the key that its reference leads to."""
    (entry,) = json.loads(Path(os.environ["PI_CODING_AGENT_DIR"], "models.json").read_text())[
        "providers"
    ].values()
    key = os.environ[entry["apiKey"].removeprefix("$")]
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    host, _, path = entry["baseUrl"].removeprefix("http://").partition("/")
    head = (
        f"POST /{path}/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    )
    with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2]))) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        headers = dict(
            line.decode().lower().strip().split(": ", 1) for line in iter(answer.readline, b"\r\n")
        )
        return status, answer.read(int(headers["content-length"])).decode()


def main(arguments: list[str]) -> int:
    if "--version" in arguments:
        sys.stdout.write(os.environ.get("FAKE_VERSION", "1.5.2") + "\n")
        return 0
    chosen = arguments[arguments.index("--model") + 1]
    answers: list[tuple[int, str]] = []
    for step in arguments[arguments.index("--do") + 1 :]:
        name, _, value = step.partition("=")
        if name == "ask":
            answers.append(ask(value or chosen))
        elif name == "report":
            directory = Path(os.environ["PI_CODING_AGENT_DIR"])
            files = {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}
            command = Path(f"/proc/{os.getpid()}/cmdline")
            argv = command.read_bytes().decode() if command.exists() else " ".join(sys.argv)
            report = {
                "environment": dict(os.environ),
                "argv": argv,
                "files": files,
                "answers": answers,
                "directory": str(directory),
            }
            Path(value).write_text(json.dumps(report))
        elif name == "rewrite":
            Path(os.environ["PI_CODING_AGENT_DIR"], "models.json").write_text("{}")
        elif name == "signal":
            os.kill(os.getpid(), int(value))
            signal.pause()
        elif name == "wait":
            while not Path(value).exists():
                time.sleep(0.01)
        elif name == "exit":
            return int(value)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
