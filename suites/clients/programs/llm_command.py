"""Simon Willison's `llm` command, given the gateway in its extra-openai-models.yaml: one question, what came
of it as one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

kind = sys.argv[1]
with tempfile.TemporaryDirectory() as home:
    entry = {
        "model_id": "held",
        "model_name": os.environ["MODEL"],
        "api_base": os.environ["GATEWAY"] + "/v1",
        "api_key_name": "held",
        "supports_tools": True,
    }
    Path(home, "extra-openai-models.yaml").write_text(json.dumps([entry]))
    Path(home, "keys.json").write_text(json.dumps({"held": os.environ["TOKEN"]}))
    more = {"plain": ["--no-stream"], "error": ["--no-stream"], "stream": []}
    more["tools"] = [
        "--no-stream",
        "--functions",
        "def look_up(city: str) -> str:\n    print('tool', city)\n    return city",
    ]
    command = [str(Path(sys.executable).with_name("llm")), "-m", "held", *more[kind], "Say something."]
    done = subprocess.run(
        command,
        env=os.environ | {"LLM_USER_PATH": home},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
if kind == "tools" and "tool " in done.stdout:
    report = {"tool": "look_up", "arguments": {"city": done.stdout.partition("tool ")[2].split()[0]}}
elif done.returncode:
    report = {
        "status": int(code) if (code := done.stderr.partition("Error code: ")[2][:3]).isdigit() else None,
        "message": done.stderr,
    }
else:
    report = {"text": done.stdout.removesuffix("\n")}
print(json.dumps(report))
