"""What may be written in each table of holdfast.toml, and what converts it: docs/reference/configuration.md.

Whatever these tables do not name is an error. docs/_generate/config_schema.py writes a JSON Schema of them
for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.identity import Auth, Strategy
from . import converters as c
from .assertions import KINDS

Fields = Mapping[str, c.Converter[Any]]
TOP: Fields = dict.fromkeys(("provider", "fallback", "gateway", "store", "settings", "signin"), c.table)
ENDPOINT: Fields = {"url": c.string, "auth": c.one_of(Auth), "headers": c.headers}
PROVIDER: Fields = {
    **ENDPOINT,
    "preset": c.string,
    "dialect": c.dialect,
    "endpoints": c.table,
    "models": c.any_list,
    "keys": c.any_list,
    "strategy": c.one_of(Strategy),
    "profile": c.string,
    "answers_as": c.table_of_names,
    "forward_headers": c.forwarded,
    "translate": c.translation,
    "caps": c.table,
}
MODEL: Fields = {
    "id": c.string,
    "context": c.tokens,
    "output": c.tokens,
    "input": c.kinds_of_input,
    "reasoning": c.switch,
}
KEY: Fields = {
    "from": c.string,
    "value": c.like(r"[^\s.]+(\.[^\s.]+)*", "names with dots between them, such as data.token"),
    "label": c.label,
    "account": c.string,
    "url": c.string,
    "endpoints": c.table,
}
FALLBACK: Fields = {"then": c.strings, "return_after": c.span, "check": c.switch}
SIGN_IN: Fields = {
    "client_id": c.string,
    "token_url": c.string,
    "device_url": c.string,
    "authorize_url": c.string,
    "scopes": c.strings,
    "revoke_url": c.string,
    "client_secret": c.client_secret,
    "client_auth": c.like("post|basic", '"post" or "basic"'),
    "audience": c.string,
    "resource": c.string,
    "assertion": c.client_secret,
    "kind": c.rule(lambda v: v in [*KINDS], f"one of {', '.join(KINDS)}", str, {"enum": [*KINDS]}),
    "fields": c.table_of_names,
}
SETTINGS: Fields = {
    "probe_delays": c.spans,
    "replay_limit": c.size,
    "wait_budget": c.span,
    "known_good_days": c.number,
    **dict.fromkeys(("connect_timeout", "answer_timeout", "stall_timeout"), c.timeout),
    "mask_answers": c.switch,
}
GATEWAY: Fields = {
    "listen": c.listen_address,
    "store": c.store_address,
    "public": c.switch,
    "drain": c.span,
    "names": c.strings,
    "comment_after": c.span,
}
STORE: Fields = {
    "keep": c.days,
    "max_size": c.store_size,
    "forget_sessions": c.days,
    "pepper": c.pepper,
    "notify": c.switch,
}
