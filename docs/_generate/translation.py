"""Write the tables of docs/reference/translation.md: what may be lost, and who reaches which preset.

python docs/_generate/translation.py --write     bring the page up to date
python docs/_generate/translation.py --check     exit 1 if it is not
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from holdfast.core.compatibility import spoken_to
from holdfast.core.identity import Auth, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.providers import presets
from holdfast.providers.caps import caps_for
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination, Untranslatable
from holdfast.translate.losses import LESS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reference" / "translation.md"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
PROGRAMS = {"Claude Code": Dialect.ANTHROPIC_MESSAGES, "Codex": Dialect.OPENAI_RESPONSES}
"""Programs that speak one API."""
OUTPUT = 64_000
"""Tokens: the limit of the model that each preset is asked for."""


def losses() -> str:
    """Return the table of names, as the header `holdfast-translated` has them."""
    rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in sorted(LESS.items()))
    return f"| name | what it means |\n|---|---|\n{rows}"


def reach() -> str:
    """Return the table of presets: how a turn of each program reaches them."""
    head = f"| preset | {' | '.join(PROGRAMS)} |\n|---|{'---|' * len(PROGRAMS)}\n"
    rows = []
    for name, row in presets.rows().items():
        cells = [way(provider_of(name, row), dialect) for dialect in PROGRAMS.values()]
        rows.append(f"| `{name}` | {' | '.join(cells)} |\n")
    return head + "".join(rows)


def provider_of(name: str, row: Mapping[str, Any]) -> Provider:
    """Return a provider as `holdfast provider add --preset` makes it."""
    auth = Auth(row.get("auth", Auth.BEARER))
    endpoints = tuple(Endpoint(url, Dialect(dialect), auth) for dialect, url in row["endpoints"].items())
    owner = ProviderName(name)
    keys = () if auth is Auth.NONE else (Key(owner, "K", "env:K"),)
    return Provider(owner, endpoints, keys, preset=name, profile=row.get("profile"))


def turn_of(dialect: Dialect) -> dict[str, Any]:
    """Return a turn of the program that speaks this API, as the tests have it."""
    if dialect is Dialect.OPENAI_RESPONSES:
        text = (ROOT / "tests" / "data" / "translate" / "codex-request.json").read_text("utf-8")
        turn: dict[str, Any] = json.loads(text)
        return turn
    sys.path.insert(0, str(ROOT / "tests" / "translate"))
    request: dict[str, Any] = import_module("claude_code").claude_code_request()
    return request


def way(provider: Provider, dialect: Dialect) -> str:
    """Return how a turn reaches a provider: natively, translated with these losses, or not, and why."""
    spoken = spoken_to(provider, dialect)
    if spoken is dialect:
        return "native"
    endpoint = provider.endpoint_for(spoken)
    if endpoint is None:
        raise ValueError(f"{provider.name} does not speak {spoken}")
    caps = caps_for(provider, spoken, "a-model", {"output": OUTPUT})
    request = CallerRequest(dialect, turn_of(dialect), Sealer(), seed="", now=0.0)
    try:
        translation = request.to(Destination(spoken, endpoint.origin, "a-model", caps))
    except Untranslatable as refused:
        return f"refused: {refused.why}"
    less = ", ".join(sorted(translation.less)) or "nothing"
    return f"as `{spoken}`, less {less}"


TABLES = {"losses": losses, "presets": reach}


def generated(text: str) -> str:
    """Return the page with its tables as the code is today."""
    return BLOCK.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", text)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = generated(before)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif after != before:
        sys.stderr.write(f"{DOCUMENT.name} is out of date; run: make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
