"""The OpenAPI description of the gateway: its own routes, and those of the providers' APIs that it passes on.

The bodies of the latter are as their makers' APIs define them, so they are not described again."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...core.identity import Dialect
from ...wire.answer_shape import AnswerKind
from ...wire.route_table import TABLE, ApiRoute, BodyKind, ModelRule
from .described import PATHS, SCHEMAS, Described, Schema

_STREAMS = (AnswerKind.CHAT, AnswerKind.COMPLETION, AnswerKind.MESSAGE, AnswerKind.RESPONSE)
_DESCRIPTION = """\
The connection layer for LLM agents: it keeps a session on the provider, endpoint, key and model that its user
chose. Routes of OpenAI's and Anthropic's APIs are passed on to the session's provider, with and without /v1;
where a path has GET, it has HEAD too."""
HEADERS = {
    "holdfast-request-id": "The id by which /holdfast/requests/{request} tells what happened.",
    "holdfast-session": "The session of the request.",
    "holdfast-pin": "The pin that answered: provider/model.",
    "holdfast-key": "The label of the key.",
    "holdfast-attempts": "How many requests were sent to providers.",
    "holdfast-answered-model": "The model that answered, if it is not the chosen one.",
    "holdfast-fault": "The class of the fault, if the request failed.",
    "holdfast-fallback": "The fallback that answered, as a pin.",
    "holdfast-translated": "From which API to which the request was translated, and what was lost.",
}
_PARAMETERS: dict[str, tuple[str, Schema]] = {
    "limit": ("How many sessions.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    "strict": ("Whether all requests can be served, also those of new sessions.", {"type": "boolean"}),
    "after": ("What the header link of the page before has.", {"type": "string"}),
}


@lru_cache(maxsize=1)
def document(version: str) -> dict[str, Any]:
    """Return the description of a gateway of this version."""
    paths: dict[str, dict[str, Any]] = {}
    for path, described in PATHS.items():
        paths[path] = {"get": _own(path, described)}
    for route in TABLE:
        of_path = paths.setdefault(f"/v1{route.path}", {})
        method = route.method.lower()
        if method in of_path:
            of_path[method]["tags"].append(str(route.dialect))
        else:
            of_path[method] = _passed_on(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Holdfast gateway", "version": version, "description": _DESCRIPTION},
        "servers": [
            {"url": "/", "description": "the session of the token, or of the header holdfast-session"},
            {
                "url": "/s/{session}",
                "description": "one session",
                "variables": {"session": {"default": "my-session", "description": "the session's id"}},
            },
        ],
        "security": [{"bearer": []}, {"key": []}],
        "paths": paths,
        "components": _components(),
    }


def _own(path: str, described: Described) -> dict[str, Any]:
    """Return the operation of a route that the gateway answers itself."""
    content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    if described.schema is not None:
        content = {"application/json": {"schema": described.schema}}
    operation: dict[str, Any] = {
        "operationId": _id("get", path),
        "summary": described.summary,
        "tags": ["gateway"],
        "parameters": [*_in_path(path), *map(_in_query, described.query)],
        "responses": {"200": {"description": "the answer", "content": content}, "default": _error("OpenAI")},
    }
    if described.is_open:
        operation["security"] = [{}, {"bearer": []}, {"key": []}]
        operation["description"] = "Without a token, the answer is the status alone."
    if path.endswith(("/ready", "/readiness")):
        operation["responses"]["503"] = {"description": "requests cannot be served", "content": content}
    return operation


def _passed_on(route: ApiRoute) -> dict[str, Any]:
    """Return the operation of a route that a provider answers."""
    maker = "Anthropic" if route.dialect is Dialect.ANTHROPIC_MESSAGES else "OpenAI"
    if route.path == "/rerank":
        maker = "Cohere"
    operation: dict[str, Any] = {
        "operationId": _id(route.method.lower(), route.path),
        "summary": f"{route.method} {route.path} as in {maker}'s API",
        "tags": [str(route.dialect)],
        "parameters": [*_in_path(route.path), {"$ref": "#/components/parameters/session"}],
        "responses": {
            "200": {"$ref": f"#/components/responses/{_answer(route)}"},
            "default": _error("Anthropic" if maker == "Anthropic" else "OpenAI"),
        },
    }
    if route.body is not BodyKind.NONE:
        operation["requestBody"] = {"content": _body(route)}
    return operation


def _answer(route: ApiRoute) -> str:
    """Return the name of the response of a route that a provider answers."""
    if route.answer in _STREAMS:
        return "JSONOrStream"
    return "Any" if route.answer is None else "JSON"


def _body(route: ApiRoute) -> dict[str, Any]:
    schema: Schema = {"type": "object"}
    if route.model is not ModelRule.NONE:
        text = "a pin (provider/model), the session's own model, or a name that exactly one provider lists"
        schema["properties"] = {"model": {"type": "string", "description": text}}
    content = {"application/json": {"schema": schema}}
    if route.body is BodyKind.FILE:
        content["multipart/form-data"] = {"schema": schema}
    return content


def _id(method: str, path: str) -> str:
    """Return a name for an operation that a generator of clients can use."""
    words = path.removeprefix("/v1").replace(".", "/").replace("-", "_").split("/")
    return "_".join([method, *(f"by_{word[1:-1]}" if "{" in word else word for word in words if word)])


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(name: str) -> dict[str, Any]:
    description, schema = _PARAMETERS[name]
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _error(maker: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{maker}"}


def _components() -> dict[str, Any]:
    text = {"type": "string"}
    for_programs = {
        "type": "object",
        "description": "the class of the fault, the next step and the facts, for programs",
        "properties": {"class": text, "next_step": text},
    }
    common = {"message": text, "type": text, "holdfast": for_programs}
    openai = {**common, "code": text, "param": {"type": ["string", "null"]}}
    wrapped = {"OpenAI": openai, "Anthropic": common}
    errors = {
        f"{maker}Error": {
            "type": "object",
            "properties": {"error": {"type": "object", "properties": members, "required": [*members]}},
            "required": ["error"],
        }
        for maker, members in wrapped.items()
    }
    json, stream = {"schema": {"type": "object"}}, {"schema": text}
    contents: dict[str, dict[str, Any]] = {
        "JSON": {"application/json": json},
        "JSONOrStream": {"application/json": json, "text/event-stream": stream},
        "Any": {"*/*": {}},
    }
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}
    answers = {
        name: {"description": "the provider's answer", "headers": headers, "content": content}
        for name, content in contents.items()
    }
    return {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "a token of holdfast token new"},
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
        "parameters": {
            "session": {
                "name": "holdfast-session",
                "in": "header",
                "description": "the session of the request; without it the token's own",
                "schema": text,
            }
        },
        "headers": {
            name: {"description": description, "schema": text} for name, description in HEADERS.items()
        },
        "responses": {
            **answers,
            **{
                maker: {
                    "description": f"an error in the shape of {maker}'s API",
                    "content": {
                        "application/json": {"schema": {"$ref": f"#/components/schemas/{maker}Error"}}
                    },
                }
                for maker in wrapped
            },
        },
        "schemas": {**SCHEMAS, **errors},
    }
