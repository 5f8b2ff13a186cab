"""Which variables a handed-over program must not inherit: all that could give it another key, another host or
another model."""

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
"""For every program. AWS_*, GOOGLE_APPLICATION_CREDENTIALS and the like stay: they belong to the user's work,
and no plan of ours lets a program sign with them."""


def inherited(environ: Mapping[str, str], unset: Sequence[str]) -> dict[str, str]:
    """An environment without the variables that match."""
    return {name: value for name, value in environ.items() if not matches(name, unset)}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a variable is one of these names or patterns; the case of letters counts, as it does for the
    system."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")
_REDIRECTS = ("*_PROXY", "*_proxy", "*_API_BASE", "*_BASE_URL")


def overriding_lines(text: str, unset: Sequence[str]) -> list[tuple[int, str]]:
    """The lines of a `.env` file that set a variable which decides where requests go: (line, variable)."""
    found = ((number, _ASSIGNMENT.match(line)) for number, line in enumerate(text.splitlines(), 1))
    return [
        (number, match[1]) for number, match in found if match and matches(match[1], (*unset, *_REDIRECTS))
    ]


def no_proxy_with_loopback(proxies: str) -> str:
    """The value of NO_PROXY with this machine in it: a request to our gateway never leaves by a proxy."""
    named = [one for one in proxies.split(",") if one.strip()]
    return ",".join(dict.fromkeys([*named, "127.0.0.1", "localhost", "::1"]))
