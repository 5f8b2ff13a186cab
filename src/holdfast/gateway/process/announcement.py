"""The one announcement of a gateway, on standard output, once it accepts requests."""

from __future__ import annotations

import json
import os
import sys

from ...providers.presets import rows
from ...store.base import Store
from ..tokens import issue
from .sockets import Listening
from .worker import Options


def announce_start(options: Options, listening: Listening, store: Store) -> None:
    """Print the address; for a home without a token also issue the first one and show it this once."""
    url, first, replaced = listening.listen.url, "", 0
    if listening.predecessor is not None:
        replaced = listening.predecessor.gateway.pid
    if not store.tokens():
        _, first = issue(store, "first")
    text = ""
    if options.as_json:
        values: dict[str, object] = {"url": url, "pid": os.getpid(), "workers": options.workers}
        if replaced:
            values["replaced"] = replaced
        if first:
            values["token"] = first
        text = json.dumps(values)
    else:
        text = _for_people(url, _token_line(store, first), first or "TOKEN")
        if replaced:
            text += f"\nIt replaces process {replaced}, which ends when its running answers have."
    sys.stdout.write(f"{text}\n")
    if options.background:
        sys.stdout.write("\n")
    sys.stdout.flush()


def _token_line(store: Store, first: str) -> str:
    """Return the line about tokens; `first` is the one that was just issued, "" for none."""
    if first:
        return f"{first}   (shown this once; another: holdfast token new)"
    if any(token.revoked_at is None for token in store.tokens()):
        return "as before (another: holdfast token new)"
    return "all tokens are revoked; issue one: holdfast token new"


def _for_people(url: str, token_line: str, token: str) -> str:
    openai, anthropic = (rows()[name]["env"][0] for name in ("openai", "anthropic"))
    return "\n".join(
        [
            f"holdfast serves at {url}",
            f"  token  {token_line}",
            f"  OpenAI SDKs     export OPENAI_BASE_URL={url}/v1 {openai}={token}",
            f"  Anthropic SDKs  export ANTHROPIC_BASE_URL={url} {anthropic}={token}",
            f"  one session     put /s/SESSION behind {url}",
        ]
    )
