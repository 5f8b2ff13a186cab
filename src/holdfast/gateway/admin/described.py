"""What the routes of `routes` answer, as OpenAPI describes it: a sentence and a schema for each path.

A member that is marked with `maybe` may be missing; every other one is always there."""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "number", "description": "Seconds since 1970-01-01 UTC."}
ANY: Schema = {}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def ref(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(maybe: dict[str, Schema] | None = None, **members: Schema) -> Schema:
    return {"type": "object", "properties": {**members, **(maybe or {})}, "required": [*members]}


_STORY = {"why": _list(TEXT), "events": _list(ref("Event"))}
_SESSION = {
    "id": TEXT,
    "pin": TEXT,
    "key": _or_null(TEXT),
    "kept_key": _or_null(TEXT),
    "fallback": _or_null(_object(pin=TEXT, reason=TEXT, until=TIME)),
    "created_at": TIME,
    "changed_at": TIME,
    "resumes": FLAG,
    "why_not": TEXT,
    "candidates": _list(TEXT),
    "run": TEXT,
}
_LIMITS = ("max_input_tokens", "context_length", "max_model_len", "max_tokens", "max_completion_tokens")
SCHEMAS: dict[str, Schema] = {
    "Live": _object(live=FLAG),
    "Ready": _object({"store": TEXT, "config": TEXT, "draining": FLAG, "refused": TEXT}, ready=FLAG),
    "Models": _object(
        object=TEXT,
        data=_list(ref("Model")),
        has_more=FLAG,
        first_id=_or_null(TEXT),
        last_id=_or_null(TEXT),
    ),
    "Model": _object(
        {
            **dict.fromkeys(_LIMITS, COUNT),
            "supports_reasoning": FLAG,
            "architecture": _object(input_modalities=_list(TEXT), output_modalities=_list(TEXT)),
        },
        id=TEXT,
        object=TEXT,
        created=COUNT,
        owned_by=TEXT,
        type=TEXT,
        display_name=TEXT,
        created_at=TEXT,
        lifecycle=TEXT,
        holdfast=_object(dialects=_list(TEXT), translated=FLAG, declared=FLAG, facts={"type": "object"}),
    ),
    "Status": _object(
        version=TEXT,
        now=TIME,
        workers=_list(ref("Worker")),
        draining=FLAG,
        gateways=_list(ref("Gateway")),
        journal_queue=COUNT,
        config=_object(file=TEXT, providers=COUNT, fallbacks=COUNT, error=_or_null(TEXT)),
    ),
    "Worker": _object(
        pid=COUNT,
        ready=FLAG,
        uptime={"type": "number"},
        starts=COUNT,
        open_connections=COUNT,
        config_broken=FLAG,
    ),
    "Gateway": _object(
        instance=TEXT,
        url=TEXT,
        pid=COUNT,
        version=TEXT,
        kind=TEXT,
        since=TIME,
        draining=FLAG,
        workers=COUNT,
    ),
    "Provider": _object(
        name=TEXT,
        preset=_or_null(TEXT),
        strategy=TEXT,
        models=_or_null(_list(TEXT)),
        endpoints=_list(
            _object({"last_ok": TIME}, url=TEXT, dialect=TEXT, auth=TEXT, resting=_list(ref("Cooldown")))
        ),
        keys=_list(ref("Key")),
    ),
    "Key": _object(
        label=TEXT,
        kept_in=TEXT,
        account=_or_null(TEXT),
        read=FLAG,
        evidence=_list(
            _object(
                url=TEXT,
                last_ok=_or_null(TIME),
                last_fault=_or_null(TEXT),
                last_fault_at=_or_null(TIME),
            )
        ),
        resting=_list(ref("Cooldown")),
    ),
    "Cooldown": _object(about=TEXT, url=TEXT, fault=TEXT, since=TIME, until=_or_null(TIME)),
    "Session": _object(**_SESSION),
    "SessionStory": _object(
        {
            **_SESSION,
            "removed": FLAG,
            "usage": _list(_object({"pin": TEXT}, requests=COUNT, tokens_in=COUNT, tokens_out=COUNT)),
        },
        id=TEXT,
        last_explanation=_or_null(ANY),
        **_STORY,
    ),
    "RequestStory": _object(id=TEXT, session=TEXT, pin=TEXT, **_STORY),
    "Event": _object(at=TIME, kind=TEXT, session=TEXT, request=TEXT, pin=TEXT, detail={"type": "object"}),
}


class Described(NamedTuple):
    """A path: what it is for, the schema of its JSON answer (None: it is text), the query that it reads, and
    whether it answers without a token too."""

    summary: str
    schema: Schema | None = None
    query: tuple[str, ...] = ()
    is_open: bool = False


PATHS: dict[str, Described] = {
    "/": Described("A page for people: the version and the addresses to use."),
    "/health/live": Described("Whether the gateway runs.", ref("Live"), is_open=True),
    "/health/ready": Described(
        "Whether requests can be served.", ref("Ready"), query=("strict",), is_open=True
    ),
    "/health/liveliness": Described("The same as /health/live.", ref("Live"), is_open=True),
    "/health/readiness": Described("The same as /health/ready.", ref("Ready"), is_open=True),
    "/metrics": Described("Metrics for Prometheus. Not for a token with limits."),
    "/v1/models": Described("The models that requests may name, as pins.", ref("Models")),
    "/v1/models/{model}": Described("One model, by its pin or its name.", ref("Model")),
    "/holdfast/status": Described("The state of the gateway. Not for a token with limits.", ref("Status")),
    "/holdfast/providers": Described(
        "Providers, keys and what is known of them. Not for a token with limits.", _list(ref("Provider"))
    ),
    "/holdfast/sessions": Described(
        "Sessions, the last changed first.", _list(ref("Session")), query=("limit", "after")
    ),
    "/holdfast/session/{session}": Described("One session and its journal.", ref("SessionStory")),
    "/holdfast/requests/{request}": Described("The journal of one request.", ref("RequestStory")),
    "/holdfast/openapi.json": Described("This description.", {"type": "object"}),
}
