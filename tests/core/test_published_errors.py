"""Every error that a vendor publishes by name gets the class that tests/replies/published.toml gives it,
wherever the vendor writes it: in a body, in an event, or as the reason why an answer ended."""

from __future__ import annotations

import importlib
import json
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.classify import classify
from holdfast.core.faults import Confidence, Fault, Phase, Reply
from holdfast.core.response_parser import token
from holdfast.providers import profiles
from tables import rows

ENUMS = tomllib.loads((Path(__file__).parents[1] / "replies/published.toml").read_text("utf-8"))["enum"]
VALUES = [(enum, value, kind) for enum in ENUMS for value, kind in enum["values"].items()]
NOTHING = "x"
IN_STREAMS = {"response.failed", "event", "error_event", "finish_reason", "stop_reason", "member"}


def body(location: str, value: str, status: int) -> Any:
    """The smallest body in which a vendor writes `value` at `location`."""
    error = {"message": NOTHING, "type": None, "code": None}
    candidate = {"finishReason": value, "index": 0}
    return {
        "code": {"error": {**error, "code": value}},
        "type": {"type": "error", "error": {**error, "type": value}},
        "error_code": {"type": "error", "error": {"message": NOTHING, "details": {"error_code": value}}},
        "rpc": {"error": {"code": status, "message": NOTHING, "status": value}},
        "exception": {"message": NOTHING, "__type": value},
        "member": {value: {"message": NOTHING}},
        "last_error": {"status": "failed", "last_error": {"code": value, "message": NOTHING}},
        "finishReason": {"candidates": [candidate]},
        "blockReason": {"promptFeedback": {"blockReason": value}},
        "finish_reason": {"choices": [{"index": 0, "delta": {}, "finish_reason": value}]},
        "stop_reason": {"type": "message_delta", "delta": {"stop_reason": value}},
        "response.failed": {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": value, "message": NOTHING}},
        },
        "error_event": {"type": "error", "error": {"type": value, "message": NOTHING}},
        "event": {"type": "error", "code": value, "message": NOTHING},
    }[location]


def fault_of(enum: dict[str, Any], named: str) -> Fault:
    value, _, status = named.partition("@")
    code = int(status or 200)
    raw = json.dumps(body(enum["location"], value, code)).encode()
    phase, headers = Phase.HEADERS, (("content-type", "application/json"),)
    if enum["location"] in IN_STREAMS:
        raw, phase = b"data: " + raw + b"\n\n", Phase.PRE_OUTPUT
        headers = (("content-type", "text/event-stream"),)
    return classify(
        Reply(code, headers, raw, phase=phase), profiles.load(enum["provider"]), now=1_794_900_000.0
    )


@rows(
    ("enum", "value", "kind"),
    VALUES,
    ids=[f"{enum['provider']}-{enum['location']}-{value}" for enum, value, _ in VALUES],
)
def test_a_published_error_gets_its_class(enum, value, kind):
    fault = fault_of(enum, value)
    assert str(fault.kind) == kind, fault.signs
    if fault.terminal:
        assert fault.confidence is Confidence.CODE


@pytest.mark.parametrize("enum", [enum for enum in ENUMS if "holds" in enum], ids=lambda enum: enum["holds"])
def test_the_table_has_every_value_of_the_vendors_own_type(enum):
    module, _, path = enum["holds"].partition(":")
    name, _, field = path.partition(".")
    kind = getattr(importlib.import_module(module), name)
    if field:
        kind = kind.model_fields[field].annotation
    assert {value.partition("@")[0] for value in enum["values"]} == set(typing.get_args(kind))


@pytest.mark.parametrize("enum", [enum for enum in ENUMS if enum["location"] == "response.failed"])
def test_a_whole_response_that_failed_is_read_like_its_event(enum):
    for value, kind in enum["values"].items():
        response = body("response.failed", value, 200)["response"]
        reply = Reply(200, (("content-type", "application/json"),), json.dumps(response).encode())
        assert str(classify(reply, profiles.load(enum["provider"]), now=0.0).kind) == kind, value


def test_one_spelling_of_a_code_is_as_good_as_another():
    assert {
        token(text) for text in ("DeploymentNotFound", "deployment-not-found", "DEPLOYMENT_NOT_FOUND")
    } == {"deployment_not_found"}
