"""The routes of the providers' APIs that are passed on: one table for the library and the gateway.

A path is written behind the version; `{id}` is one segment. A route that two APIs have by the same path has a
row for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from ..core.identity import Dialect
from .answer_shape import AnswerKind


class BodyKind(Enum):
    """The body of a route's requests."""

    NONE = "none"
    JSON = "JSON"
    FILE = "a form with a file, or JSON that may be as large as one; it streams past"


class Scope(Enum):
    """The object of a request, which decides whose key may send it."""

    FREE = "nothing that is kept: any account answers alike"
    ACCOUNT = "the objects of an account: the session's"
    OBJECT = "one object, by its id in the path: it belongs to the account that made it"


class ModelRule(Enum):
    """The model in a request's body."""

    NONE = "names no model"
    OWN = "names a model that talks; where it names none, the session's is filled in"
    ANY = "may name a model that no provider lists, since lists name those that talk"


class ApiRoute(NamedTuple):
    """A route.

    answer   the kind of the answers of a model, which are judged; None: neither the request nor the answer
             is judged, and failures say nothing about a key
    replays  it leaves nothing behind, so it may be sent again: after a refusal, perhaps with another key
    makes    its answer names objects that belong to the account from then on
    either   an endpoint of either dialect of OpenAI has it
    """

    method: str
    path: str
    dialect: Dialect
    body: BodyKind = BodyKind.NONE
    scope: Scope = Scope.FREE
    model: ModelRule = ModelRule.NONE
    answer: AnswerKind | None = None
    replays: bool = True
    makes: bool = False
    either: bool = False


def _model(path: str, dialect: Dialect, answer: AnswerKind, model: ModelRule = ModelRule.OWN) -> ApiRoute:
    """Return a route on which a model answers."""
    return ApiRoute("POST", path, dialect, BodyKind.JSON, model=model, answer=answer)


def _side(path: str, body: BodyKind = BodyKind.JSON) -> ApiRoute:
    """Return a route to a model that does not talk."""
    return ApiRoute("POST", path, _CHAT, body, model=ModelRule.ANY, either=True)


def _kept(dialect: Dialect, text: str, *, either: bool = False) -> list[ApiRoute]:
    """Return routes to what accounts keep, a line each: method, path, and `file` for a body that may be as
    large as one, `json` for another one, `makes`."""
    rows = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        method, path, *words = line.split()
        bodies = (kind for word, kind in _BODIES.items() if word in words)
        rows.append(
            ApiRoute(
                method,
                path,
                dialect,
                next(bodies, BodyKind.NONE),
                scope=Scope.OBJECT if "{" in path else Scope.ACCOUNT,
                replays=method == "GET",
                makes="makes" in words,
                either=either,
            )
        )
    return rows


_BODIES = {"file": BodyKind.FILE, "json": BodyKind.JSON}
_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
TABLE: tuple[ApiRoute, ...] = (
    _model("/chat/completions", _CHAT, AnswerKind.CHAT),
    _model("/completions", _CHAT, AnswerKind.COMPLETION),
    _model("/embeddings", _CHAT, AnswerKind.EMBEDDINGS, ModelRule.ANY),
    _model("/responses", _RESPONSES, AnswerKind.RESPONSE),
    _model("/responses/compact", _RESPONSES, AnswerKind.OTHER),
    _model("/responses/input_tokens", _RESPONSES, AnswerKind.OTHER),
    _model("/messages", _MESSAGES, AnswerKind.MESSAGE),
    _model("/messages/count_tokens", _MESSAGES, AnswerKind.TOKEN_COUNT),
    _side("/moderations"),
    _side("/rerank"),
    _side("/images/generations"),
    _side("/images/edits", BodyKind.FILE),
    _side("/images/variations", BodyKind.FILE),
    _side("/audio/speech"),
    _side("/audio/transcriptions", BodyKind.FILE),
    _side("/audio/translations", BodyKind.FILE),
    *_kept(
        _CHAT,
        """
        GET    /chat/completions
        GET    /chat/completions/{id}
        POST   /chat/completions/{id}   json
        DELETE /chat/completions/{id}
        GET    /chat/completions/{id}/messages
        """,
    ),
    *_kept(
        _RESPONSES,
        """
        GET    /responses/{id}
        DELETE /responses/{id}
        POST   /responses/{id}/cancel
        GET    /responses/{id}/input_items
        POST   /conversations           json makes
        GET    /conversations/{id}
        POST   /conversations/{id}      json
        DELETE /conversations/{id}
        POST   /conversations/{id}/items   json
        GET    /conversations/{id}/items
        GET    /conversations/{id}/items/{part}
        DELETE /conversations/{id}/items/{part}
        """,
    ),
    *_kept(
        _CHAT,
        """
        POST   /files                   file makes
        GET    /files
        GET    /files/{id}
        DELETE /files/{id}
        GET    /files/{id}/content
        POST   /uploads                 json makes
        POST   /uploads/{id}/parts      file
        POST   /uploads/{id}/complete   json makes
        POST   /uploads/{id}/cancel
        POST   /batches                 json makes
        GET    /batches
        GET    /batches/{id}            makes
        POST   /batches/{id}/cancel     makes
        POST   /vector_stores           json makes
        GET    /vector_stores
        GET    /vector_stores/{id}
        POST   /vector_stores/{id}      json
        DELETE /vector_stores/{id}
        POST   /vector_stores/{id}/search   json
        POST   /vector_stores/{id}/files    json
        GET    /vector_stores/{id}/files
        GET    /vector_stores/{id}/files/{part}
        POST   /vector_stores/{id}/files/{part}   json
        DELETE /vector_stores/{id}/files/{part}
        GET    /vector_stores/{id}/files/{part}/content
        POST   /vector_stores/{id}/file_batches   json
        GET    /vector_stores/{id}/file_batches/{part}
        POST   /vector_stores/{id}/file_batches/{part}/cancel
        GET    /vector_stores/{id}/file_batches/{part}/files
        POST   /containers              json makes
        GET    /containers
        GET    /containers/{id}
        DELETE /containers/{id}
        POST   /containers/{id}/files   file
        GET    /containers/{id}/files
        GET    /containers/{id}/files/{part}
        DELETE /containers/{id}/files/{part}
        GET    /containers/{id}/files/{part}/content
        """,
        either=True,
    ),
    *_kept(
        _MESSAGES,
        """
        POST   /files                   file makes
        GET    /files
        GET    /files/{id}
        DELETE /files/{id}
        GET    /files/{id}/content
        POST   /messages/batches        file makes
        GET    /messages/batches        makes
        GET    /messages/batches/{id}   makes
        DELETE /messages/batches/{id}
        POST   /messages/batches/{id}/cancel   makes
        GET    /messages/batches/{id}/results
        """,
    ),
)
_SLASH = re.compile(r"[/\\]|%(?:2f|5c|2e|25)", re.IGNORECASE).search
_SEGMENT = re.compile(r"[A-Za-z0-9_.~:=+@,-]{1,200}").fullmatch


class PathRoutes(NamedTuple):
    """The place of a path in the table: `name` is the path of its rows without the slash before it, `rows`
    are its routes by method, each of a dialect, and `id` is what the path names; "" for nothing."""

    name: str
    rows: dict[str, tuple[ApiRoute, ...]]
    id: str = ""

    def row(self, method: str, *, anthropic: bool = False) -> ApiRoute | None:
        """Return the route of a method; where two APIs have it, that of Anthropic's for its callers."""
        rows = self.rows.get(method, ())
        for row in rows:
            if (row.dialect is _MESSAGES) is anthropic:
                return row
        return rows[0] if rows else None

    @property
    def shared(self) -> bool:
        """Return whether two APIs have this path."""
        return len({row.dialect for rows in self.rows.values() for row in rows}) > 1


def _by_name(rows: Iterable[ApiRoute]) -> dict[str, dict[str, tuple[ApiRoute, ...]]]:
    paths: dict[str, dict[str, tuple[ApiRoute, ...]]] = {}
    for row in rows:
        methods = paths.setdefault(row.path[1:], {})
        methods[row.method] = (*methods.get(row.method, ()), row)
    return paths


PATHS = _by_name(TABLE)
"""The routes by path without its first slash, and by method."""
_PARAMETERS = tuple((tuple(name.split("/")), name) for name in PATHS if "{" in name)


def routes_at(name: str) -> PathRoutes | None:
    """Return the place of a path, which is given without version and outer slashes; None for one that is not
    in the table. No segment can be read as another path: none is empty, consists of dots, or holds a slash,
    also behind percent signs."""
    rows = PATHS.get(name)
    if rows is not None and "{" not in name:
        return PathRoutes(name, rows)
    segments = name.split("/")
    for template, known in _PARAMETERS:
        if len(template) == len(segments) and all(map(_fits, template, segments)):
            return PathRoutes(known, PATHS[known], unquote(segments[template.index("{id}")]))
    return None


def is_one_path(path: str) -> bool:
    """Return whether no receiver can read a path as another one: no segment of it is empty or consists of
    dots, and none holds a slash behind percent signs."""
    segments = [unquote(segment, errors="replace") for segment in path.strip("/").split("/")]
    return all(segment.strip(".") and not _SLASH(segment) for segment in segments)


def _fits(expected: str, segment: str) -> bool:
    if not expected.startswith("{"):
        return segment == expected
    plain = unquote(segment, errors="replace")
    return _SEGMENT(plain) is not None and plain.strip(".") != ""
