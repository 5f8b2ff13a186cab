"""What happens with a request by its route, which `route_table` lists: the same for the library and the
gateway.

A body is looked into only where it is a request to a model: JSON by its content type, or a form with a file,
on a route that is listed there. Any other (a file, a batch) passes byte for byte on the session's connection,
whatever it contains.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..core.identity import Dialect
from .account_objects import name_of
from .answer_shape import AnswerKind
from .route_table import TABLE, ApiRoute, BodyKind, ModelRule, PathRoutes, Scope, routes_at


class BodyRule(NamedTuple):
    """The treatment of a request.

    judged     a model answers: the body has to be a JSON object, and so has the answer, or a stream
    named      the body is looked into for a model, which is replaced where it is written as a pin
    any_model  a model that no provider lists is asked for at the session's provider
    form       it is a form, in which the model is a part
    document   it is JSON, and may refer to what only one account knows
    certain    by its content type, no receiver reads it as anything but JSON in UTF-8
    translates it can be written for an endpoint of another dialect
    binds      it is about what an account keeps, so no other account may answer it
    replays    it may be sent again
    makes      a whole answer in JSON names objects that belong to the account from then on
    either     an endpoint of either dialect of OpenAI will do
    optional   a provider may lack its route, and be what was meant all the same
    about      the object that its path names; "" for none
    """

    judged: bool = False
    named: bool = False
    any_model: bool = False
    form: bool = False
    document: bool = False
    certain: bool = False
    translates: bool = False
    binds: bool = False
    replays: bool = False
    makes: bool = False
    either: bool = False
    optional: bool = False
    about: str = ""


TO_A_MODEL = BodyRule(judged=True, named=True, document=True, certain=True, translates=True, replays=True)
"""The rule for a request to a model that the user chose."""
_JSON = re.compile(rb"(?:application|text)/(?:[\w.-]+\+)?json", re.IGNORECASE).fullmatch
# LiteLLM takes every content type with "form" in it for a form, and there are parsers that read the charset.
_CERTAIN = re.compile(rb'(?:application/json(?:\s*;\s*charset="?utf-?8"?)?)?', re.IGNORECASE).fullmatch
_TRANSLATED = frozenset({AnswerKind.CHAT, AnswerKind.RESPONSE, AnswerKind.MESSAGE})
_UNLABELLED = (b"", b"application/x-www-form-urlencoded")
"""Content types of a body that nobody labelled: curl and others take the second for any body."""
_FORM = b"multipart/form-data"
_JUDGED = {row.path: row for row in TABLE if row.answer is not None}


def tail_of(path: str) -> str:
    """Return the part of a caller's path that follows the version: `/v1/chat/completions` and
    `/chat/completions` are the same."""
    if not path.startswith("/"):
        path = "/" + path
    if path.startswith("/v1/"):
        return path.removeprefix("/v1")
    return path


@lru_cache(maxsize=256)
def dialect_of(path: str) -> Dialect | None:
    """Return the dialect that a request path belongs to: that of its route in the table, or of the judged
    route that it is below; None for a path of no dialect such as `/models`, and of either."""
    listed = path_routes(path)
    if listed is not None:
        (row, *_), *_ = listed.rows.values()
        return None if row.either or listed.shared else row.dialect
    tail = tail_of(path).partition("?")[0]
    for prefix, route in _JUDGED.items():
        if tail.startswith(prefix + "/"):
            return route.dialect
    return None


@lru_cache(maxsize=256)
def answer_of(path: str) -> AnswerKind:
    """Return what a POST to this request path is answered with."""
    route = _route("POST", path)
    if route is None or route.answer is None:
        return AnswerKind.OTHER
    return route.answer


def needs_model(path: str) -> bool:
    """Return whether a request to this path has to name a model."""
    route = _route("POST", path)
    return route is not None and route.answer is not None


@lru_cache(maxsize=256)
def is_held(method: str, path: str) -> bool:
    """Return whether the body of a request is held in memory, however long it is."""
    route = _route(method, path)
    return route is not None and route.body is BodyKind.JSON


@lru_cache(maxsize=1024)
def body_rule(method: str, path: str, label: bytes) -> BodyRule:
    """Return what happens with a request, by the content type `label` of its body; b"" for none."""
    listed, document = path_routes(path), is_json(label)
    route = None if listed is None else listed.row(method)
    if listed is None or route is None:
        return BodyRule(document=document, replays=method in ("GET", "HEAD"), optional=True)
    kept = BodyRule(
        document=document,
        certain=route.body is BodyKind.JSON and _CERTAIN(label) is not None,
        binds=route.scope is not Scope.FREE,
        replays=route.replays,
        makes=route.makes,
        either=route.either,
        optional=route.answer not in _TRANSLATED,
        about=name_of(listed.id) if listed.id else "",
    )
    if route.model is ModelRule.NONE:
        return kept
    if label.startswith(_FORM) and route.body is BodyKind.FILE:
        return kept._replace(named=True, any_model=True, form=True)
    if not document and label not in _UNLABELLED:
        return kept
    return kept._replace(
        judged=route.answer is not None,
        named=True,
        any_model=route.model is ModelRule.ANY,
        document=True,
        certain=_CERTAIN(label) is not None,
        translates=route.answer in _TRANSLATED,
    )


def is_json(label: bytes) -> bool:
    """Return whether a content type says JSON."""
    return _JSON(label.partition(b";")[0].strip()) is not None


@lru_cache(maxsize=256)
def path_routes(path: str) -> PathRoutes | None:
    """Return the place in the table of a request path, with or without version and query."""
    return routes_at(tail_of(path).partition("?")[0].strip("/"))


def _route(method: str, path: str) -> ApiRoute | None:
    listed = path_routes(path)
    return None if listed is None else listed.row(method)
