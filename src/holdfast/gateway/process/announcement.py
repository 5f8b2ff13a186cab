"""The one announcement of a gateway, on standard output, once it accepts requests."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping

from ...core.config import Config
from ...engine.following import FAR_LOOK_EVERY
from ...providers.presets import rows
from ...store.base import Store
from ..tokens import is_a_persons, issue
from .sockets import Listening
from .worker import Options


def announce_start(options: Options, listening: Listening, config: Config, store: Store) -> None:
    """Print the address, and what cannot work; where no person has a token yet, issue the first one and show
    it this once."""
    url, first, replaced = listening.listen.url, "", 0
    if listening.predecessor is not None:
        replaced = listening.predecessor.gateway.pid
    if not any(map(is_a_persons, store.tokens())):
        _, first = issue(store, "first")
        if store.far:  # whoever reads the token may use it at once, at any worker
            time.sleep(2 * FAR_LOOK_EVERY)
    text, warnings = "", [*_warnings(config, os.environ)]
    if options.as_json:
        values: dict[str, object] = {"url": url, "pid": os.getpid(), "workers": options.workers}
        if replaced:
            values["replaced"] = replaced
        if first:
            values["token"] = first
        if warnings:
            values["warnings"] = warnings
        text = json.dumps(values)
    else:
        text = _for_people(url, _token_line(store, first), first or "TOKEN")
        if replaced:
            text += f"\nIt replaces process {replaced}, which ends when its running answers have."
        text += "".join(f"\n  warning: {warning}" for warning in warnings)
    sys.stdout.write(f"{text}\n")
    if options.background:
        sys.stdout.write("\n")
    sys.stdout.flush()


def _warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what cannot work as it is, each with the command that helps: no provider, or one whose keys are
    all in variables that this process does not have."""
    if not config.providers:
        yield "there is no provider yet; run: holdfast setup"
    for provider in config.providers.values():
        variables = [key.ref.removeprefix("env:") for key in provider.keys if key.ref.startswith("env:")]
        if provider.keys and len(variables) == len(provider.keys) and not any(map(environ.get, variables)):
            yield (
                f"provider '{provider.name}' has no key here, since no variable {' or '.join(variables)} is "
                f"set; run: holdfast check {provider.name}"
            )


def _token_line(store: Store, first: str) -> str:
    """Return the line about tokens; `first` is the one that was just issued, "" for none."""
    if first:
        return f"{first}   (shown this once; another: holdfast token new)"
    if any(token.revoked_at is None for token in store.tokens() if is_a_persons(token)):
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
