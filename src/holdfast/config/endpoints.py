"""The endpoints that a table of holdfast.toml means. They have one owner: what the user writes there, or else
the preset, never a mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ..core.errors import IdentityError
from ..core.identity import Auth, Dialect, Endpoint
from .positions import join

T = TypeVar("T")
Found = dict[Dialect, tuple[str, Endpoint]]
"""Endpoints by dialect, each with the path that wrote its URL ("" for a preset's)."""
_STYLE = ("auth", "headers")
# People paste the address of one call; the endpoint is what precedes it (and for Anthropic's dialect what
# precedes /v1).
_CALLS = {
    Dialect.OPENAI_CHAT: ["/chat/completions"],
    Dialect.OPENAI_RESPONSES: ["/responses"],
    Dialect.ANTHROPIC_MESSAGES: ["/v1/messages", "/messages", "/v1"],
}


class Tables(Protocol):
    """What reads tables and collects what is wrong with them."""

    def wrong(self, path: str, what: str, fix: str = "") -> None: ...
    def tried(self, path: str, make: Callable[..., T], *args: object, fix: str = "") -> T | None: ...
    def dialect(self, path: str, name: object) -> Dialect | None: ...
    def endpoint_fields(self, path: str, value: object) -> dict[str, Any]: ...


def of_provider(tables: Tables, path: str, given: Mapping[str, Any], row: Mapping[str, Any]) -> Found:
    """Return the endpoints of the provider that stands at `path`: those of its table if it writes any, else
    those of its preset's `row`."""
    of_preset = {dialect: endpoint for dialect, (_, endpoint) in written(tables, "", row, {}).items()}
    of_table = written(tables, path, given, of_preset)
    if "url" in given or "endpoints" in given:
        return of_table
    result: Found = {}
    for dialect, endpoint in of_preset.items():
        made = tables.tried(join(join(path, "endpoints"), dialect), _styled, endpoint, given)
        if made is not None:
            result[dialect] = ("", made)
    return result


def written(tables: Tables, path: str, given: Mapping[str, Any], base: Mapping[Dialect, Endpoint]) -> Found:
    """Return exactly the endpoints that a table writes.

    `base` gives the auth style and the headers of a dialect where the table says nothing of them; an address
    never comes from there."""
    by_url = "url" in given
    if by_url and "endpoints" in given:
        tables.wrong(
            join(path, "endpoints"), "stands beside url: an endpoint has one owner", "write one of the two"
        )
    elif "dialect" in given and not by_url:
        tables.wrong(
            join(path, "dialect"), "says what url speaks, but there is no url", 'write url = "https://…" too'
        )
    raws = given.get("endpoints", {})
    if by_url:
        raws = {given.get("dialect", spoken_by_url(base)): given["url"]}
    result: Found = {}
    for name, raw in raws.items():
        here = join(path, "url") if by_url else join(join(path, "endpoints"), name)
        dialect, own = tables.dialect(here, name), _own(tables, here, raw)
        if dialect is None or own is None:
            continue
        merged = _style(base.get(dialect)) | {field: given[field] for field in _STYLE if field in given} | own
        endpoint = tables.tried(here, _endpoint, merged["url"], dialect, merged["auth"], merged["headers"])
        if endpoint is not None:
            result[dialect] = (here, endpoint)
    return result


def spoken_by_url(base: Mapping[Dialect, Endpoint]) -> Dialect:
    """Return what a url without a dialect speaks: the one dialect that is known there, else openai-chat."""
    return next(iter(base)) if len(base) == 1 else Dialect.OPENAI_CHAT


def _own(tables: Tables, here: str, raw: object) -> dict[str, Any] | None:
    """Return what is written of one endpoint; None where that has no address, which is told."""
    if isinstance(raw, str):
        return {"url": raw}
    own = tables.endpoint_fields(here, raw)
    if isinstance(raw, Mapping) and "url" not in raw:
        tables.wrong(here, "has no url, and no address is taken from elsewhere", 'write url = "https://…"')
    return own if "url" in own else None


def _styled(endpoint: Endpoint, given: Mapping[str, Any]) -> Endpoint:
    """Return a preset's endpoint with the auth style and the headers that stand beside the preset."""
    return replace(endpoint, **{field: given[field] for field in _STYLE if field in given})


def _style(known: Endpoint | None) -> dict[str, Any]:
    """Return how an endpoint is spoken to where its table does not say: as the known one of its dialect
    is."""
    if known is None:
        return {"auth": Auth.BEARER, "headers": ()}
    return {"auth": known.auth, "headers": known.headers}


def _endpoint(url: str, dialect: Dialect, auth: Auth, headers: tuple[tuple[str, str], ...]) -> Endpoint:
    endpoint = Endpoint(url, dialect, auth, headers)
    for tail in _CALLS[dialect]:
        if endpoint.url.endswith(tail):
            raise IdentityError(
                f"an {dialect} endpoint is what precedes '{tail}'",
                next_step=f'write "{endpoint.url.removesuffix(tail)}"',
            )
    return endpoint
