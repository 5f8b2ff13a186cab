"""The vendors' published schemas, as a judge in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import environments

from holdfast.core.identity import Dialect

_PROGRAM = Path(__file__).with_name("programs") / "schemas.py"
_NAMES: dict[tuple[Dialect, str], tuple[str, str]] = {
    (Dialect.OPENAI_CHAT, "request"): ("openai", "CreateChatCompletionRequest"),
    (Dialect.OPENAI_CHAT, "answer"): ("openai", "CreateChatCompletionResponse"),
    (Dialect.OPENAI_CHAT, "event"): ("openai", "CreateChatCompletionStreamResponse"),
    (Dialect.OPENAI_RESPONSES, "request"): ("openai", "CreateResponse"),
    (Dialect.OPENAI_RESPONSES, "answer"): ("openai", "Response"),
    (Dialect.OPENAI_RESPONSES, "event"): ("openai", "ResponseStreamEvent"),
    (Dialect.ANTHROPIC_MESSAGES, "request"): ("anthropic", "CreateMessageParams"),
    (Dialect.ANTHROPIC_MESSAGES, "answer"): ("anthropic", "Message"),
    (Dialect.ANTHROPIC_MESSAGES, "event"): ("anthropic", "MessageStreamEvent"),
    (Dialect.OPENAI_CHAT, "error"): ("openai", "ErrorResponse"),
    (Dialect.OPENAI_RESPONSES, "error"): ("openai", "ErrorResponse"),
    (Dialect.ANTHROPIC_MESSAGES, "error"): ("anthropic", "ErrorResponse"),
    (Dialect.OPENAI_RESPONSES, "error event"): ("openai", "ResponseErrorEvent"),
    (Dialect.ANTHROPIC_MESSAGES, "error event"): ("anthropic", "ErrorResponse"),
}
_LISTED = environments.REFUSALS["schemas"]


class Written(NamedTuple):
    """What we wrote in a dialect: a `request`, an `answer`, an `event`, an `error` or an `error event`."""

    dialect: Dialect
    kind: str
    value: Any


def faults(written: Iterable[Written]) -> list[tuple[Written, list[str]]]:
    """Return all that a vendor's schema does not take, and why, but for what is listed in refusals.toml."""
    judged = list(written)
    lines = "".join(json.dumps([*_NAMES[each.dialect, each.kind], each.value]) + "\n" for each in judged)
    python = environments.ensure("schemas") / "bin" / "python"
    done = subprocess.run(
        [str(python), str(_PROGRAM)], input=lines, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    faulty = zip(judged, (_unlisted(*each) for each in zip(judged, results, strict=True)), strict=True)
    return [(each, others) for each, others in faulty if others]


def _unlisted(written: Written, faulty: list[str]) -> list[str]:
    listed = _LISTED.get(written.dialect, {}) if written.kind != "request" else {}
    return [fault for fault in faulty if not fault.endswith(tuple(listed))]
