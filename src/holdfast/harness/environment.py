"""The variables that a program must not inherit: all that could give it another key, host or model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

EVERYWHERE = (
    "HOLDFAST_*",
    "OPENAI_*",
    "ANTHROPIC_*",
    "GEMINI_*",
    "GOOGLE_GEMINI_*",
    "GOOGLE_GENAI_*",
    "OPENROUTER_*",
    "AZURE_OPENAI_*",
    "LITELLM_*",
    "LLM_*",
    "AWS_BEARER_TOKEN_BEDROCK",
)
"""Removed for every program. AWS_*, GOOGLE_APPLICATION_CREDENTIALS and the like stay: they belong to the
user's work, and no plan of ours lets a program sign with them."""
IN_PLAIN_TEXT = "in plain text in its settings, or from the environment where every program would see it"
"""How some programs take their key (`Harness.no_attach`)."""
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
_REDIRECTS = ("*_PROXY", "*_proxy", "*_API_BASE", "*_BASE_URL")


def inherited(environ: Mapping[str, str], unset: Sequence[str]) -> dict[str, str]:
    """Return an environment without the variables that match."""
    return {name: value for name, value in environ.items() if not matches(name, unset)}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a variable is one of these names or patterns; the case of letters counts, as it does for
    the system."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def overriding_lines(text: str, unset: Sequence[str]) -> list[tuple[int, str]]:
    """Return the lines of a `.env` file that set a variable which decides where requests go, as (line,
    variable)."""
    patterns, overriding = (*unset, *_REDIRECTS), []
    for number, line in enumerate(text.splitlines(), 1):
        match = _ASSIGNMENT.match(line)
        if match is not None and matches(match[1], patterns):
            overriding.append((number, match[1]))
    return overriding


def no_proxy_with_loopback(proxies: str) -> str:
    """Return the value of NO_PROXY with this machine in it: a request to our gateway never goes to a
    proxy."""
    hosts = [host for host in proxies.split(",") if host.strip()]
    return ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost", "::1"]))
