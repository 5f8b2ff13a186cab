"""The endpoints that a table of holdfast.toml defines. They have one owner: what the user writes there, or
else the preset, never a mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ..core.errors import IdentityError
from ..core.identity import Auth, Dialect, Endpoint
from .toml_text import join

T = TypeVar("T")
Located = dict[Dialect, tuple[str, Endpoint]]
"""Endpoints by dialect, each with the TOML path of its URL ("" for a preset's)."""
_STYLE = ("auth", "headers")
# People paste the address of one call; the endpoint is what precedes it (and for Anthropic's dialect what
# precedes /v1).
_CALLS = {
    Dialect.OPENAI_CHAT: ["/chat/completions"],
    Dialect.OPENAI_RESPONSES: ["/responses"],
    Dialect.ANTHROPIC_MESSAGES: ["/v1/messages", "/messages", "/v1"],
}


def of_call(url: str) -> tuple[str, Dialect] | None:
    """Return what precedes the path of a call, and the dialect of that path; None for another URL."""
    bare = url.strip().rstrip("/")
    for dialect, tails in _CALLS.items():
        for tail in tails:
            if tail != "/v1" and bare.endswith(tail):
                return bare.removesuffix(tail), dialect
    return None


class Tables(Protocol):
    """A reader of tables that collects their mistakes (`parse._Reader`)."""

    def wrong(self, path: str, what: str, fix: str = "") -> None: ...
    def tried(self, path: str, make: Callable[[], T], fix: str = "") -> T | None: ...
    def dialect(self, path: str, name: object) -> Dialect | None: ...
    def endpoint_fields(self, path: str, value: object) -> dict[str, Any]: ...


def of_provider(tables: Tables, path: str, given: Mapping[str, Any], row: Mapping[str, Any]) -> Located:
    """Return the endpoints of the provider at `path`: those of its table if it writes any, else those of its
    preset's `row`."""
    of_preset = {dialect: endpoint for dialect, (_, endpoint) in written(tables, "", row, {}).items()}
    of_table = written(tables, path, given, of_preset)
    if "url" in given or "endpoints" in given:
        return of_table
    result: Located = {}
    for dialect, endpoint in of_preset.items():
        styled = _styled(tables, join(join(path, "endpoints"), dialect), endpoint, given)
        if styled is not None:
            result[dialect] = ("", styled)
    return result


def written(tables: Tables, path: str, given: Mapping[str, Any], base: Mapping[Dialect, Endpoint]) -> Located:
    """Return exactly the endpoints that a table writes.

    `base` gives the auth style and the headers of a dialect where the table does not; an address never comes
    from there."""
    result: Located = {}
    for here, name, raw in _entries(tables, path, given, base):
        dialect, own = tables.dialect(here, name), _own_fields(tables, here, raw)
        if dialect is None or own is None:
            continue
        fields = _default_style(base.get(dialect)) | _style_in(given) | own
        endpoint = _checked(tables, here, dialect, fields)
        if endpoint is not None:
            result[dialect] = (here, endpoint)
    return result


def spoken_by_url(base: Mapping[Dialect, Endpoint]) -> Dialect:
    """Return the dialect of a url that has none written: the only one that is known there, else
    openai-chat."""
    if len(base) == 1:
        return next(iter(base))
    return Dialect.OPENAI_CHAT


def _entries(
    tables: Tables, path: str, given: Mapping[str, Any], base: Mapping[Dialect, Endpoint]
) -> list[tuple[str, str, object]]:
    """Return (TOML path, dialect, value) of each endpoint that a table writes, by `url` or in `endpoints`."""
    endpoints = join(path, "endpoints")
    if "url" not in given:
        if "dialect" in given:
            what = "is the dialect of url, but there is no url"
            tables.wrong(join(path, "dialect"), what, 'write url = "https://…" too')
        return [(join(endpoints, name), name, raw) for name, raw in given.get("endpoints", {}).items()]
    if "endpoints" in given:
        tables.wrong(endpoints, "cannot be combined with url", "write one of the two")
    return [(join(path, "url"), given.get("dialect", spoken_by_url(base)), given["url"])]


def _own_fields(tables: Tables, here: str, raw: object) -> dict[str, Any] | None:
    """Return the fields of one endpoint, or None and a mistake if it has no url."""
    if isinstance(raw, str):
        return {"url": raw}
    own = tables.endpoint_fields(here, raw)
    if "url" in own:
        return own
    if isinstance(raw, Mapping) and "url" not in raw:
        tables.wrong(here, "has no url, and no address is taken from elsewhere", 'write url = "https://…"')
    return None


def _styled(tables: Tables, here: str, endpoint: Endpoint, given: Mapping[str, Any]) -> Endpoint | None:
    """Return a preset's endpoint with the auth style and the headers of the user's table."""
    return tables.tried(here, lambda: replace(endpoint, **_style_in(given)))


def _style_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the auth style and the headers that a table writes."""
    return {field: given[field] for field in _STYLE if field in given}


def _default_style(known: Endpoint | None) -> dict[str, Any]:
    """Return the auth style and the headers of an endpoint whose table has none: those of the known endpoint
    of its dialect."""
    if known is None:
        return {"auth": Auth.BEARER, "headers": ()}
    return {"auth": known.auth, "headers": known.headers}


def _checked(tables: Tables, here: str, dialect: Dialect, fields: Mapping[str, Any]) -> Endpoint | None:
    return tables.tried(here, lambda: _endpoint(dialect=dialect, **fields))


def _endpoint(url: str, dialect: Dialect, auth: Auth, headers: tuple[tuple[str, str], ...]) -> Endpoint:
    """Return the endpoint. Raises IdentityError for the address of a single call."""
    endpoint = Endpoint(url, dialect, auth, headers)
    for tail in _CALLS[dialect]:
        if endpoint.url.endswith(tail):
            raise IdentityError(
                f"an {dialect} endpoint is what precedes '{tail}'",
                next_step=f'write "{endpoint.url.removesuffix(tail)}"',
            )
    return endpoint
