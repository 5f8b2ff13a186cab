"""Another program of the same user: `child.py JOB`, with a JSON object of its facts as the first line on
stdin.

`killed`: asks for the provider and kills itself (SIGKILL) when the step `at` is on the disk. `calls`: says
"ready", waits for a line, asks `count` times, and tells as JSON how often which reason came (`ready` for a
provider that is)."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from typing import Any

from holdfast.core.errors import NotReady
from holdfast.sdk import api


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ask(held: api.Holdfast, facts: dict[str, Any]) -> str:
    try:
        held.ensure_ready(
            "trial",
            facts["roles"],
            kind=facts["kind"],
            settings=facts["settings"],
            consent="a test",
            patience=facts.get("patience", 0.0),
        )
    except NotReady as refused:
        return refused.reason
    return "ready"


def main(job: str) -> None:
    facts = json.loads(sys.stdin.readline())
    with api.open() as held:
        if job == "killed":
            held.provisioning.host.on_step(
                lambda step, record: os.kill(os.getpid(), signal.SIGKILL) if step == facts["at"] else None
            )
            ask(held, facts)
            return
        print_line("ready")
        sys.stdin.readline()
        print_line(json.dumps(Counter(ask(held, facts) for _ in range(facts["count"]))))


if __name__ == "__main__":
    main(sys.argv[1])
