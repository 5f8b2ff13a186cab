"""The OpenAPI description of the gateway, against its routes and what they answer."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from gateway.test_admin import ANYBODY, asked, engine  # noqa: F401 - a fixture
from holdfast.core.identity import Dialect, Pin
from holdfast.engine import answer_headers
from holdfast.gateway.admin import described, openapi, routes
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.routing import HttpRoutes
from holdfast.store.token import Token
from holdfast.wire.error_bodies import refusal
from holdfast.wire.route_table import TABLE

ROOT = Path(__file__).parents[2]
DOCUMENT = openapi.document("1.2")
OPERATIONS = [
    (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


def strict(schema: Any) -> Any:
    """Return a schema of which no object has a member that is not named."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    stricter = {name: strict(value) for name, value in schema.items()}
    if stricter.get("type") == "object" and isinstance(schema.get("properties"), dict):
        stricter["additionalProperties"] = False
    return stricter


def against(schema: dict[str, Any], answer: Any) -> list[str]:
    """Return what an answer has that its schema does not say, or lacks."""
    judge = Draft202012Validator(strict({**schema, "components": DOCUMENT["components"]}))
    return [f"{error.json_path}: {error.message}" for error in judge.iter_errors(answer)]


def test_every_route_that_is_passed_on_is_described_and_no_other() -> None:
    passed_on = {(method.upper(), path) for method, path, _ in OPERATIONS if path not in described.PATHS}
    assert passed_on == {(row.method, f"/v1{row.path}") for row in TABLE}
    for method, path in passed_on:
        route = HttpRoutes()[re.sub(r"\{\w+\}", "x1", path).encode()]
        assert route.listed is not None
        assert method.encode() in route.methods


def test_every_route_that_the_gateway_answers_is_described_and_no_other() -> None:
    plain = {path.removeprefix("/v1") for path in described.PATHS if "{" not in path}
    assert plain == routes._ROUTES.keys()
    below = {path.removeprefix("/v1").partition("{")[0] for path in described.PATHS if "{" in path}
    assert below == {start for start, _ in routes._BELOW}
    assert {path for path, item in described.PATHS.items() if item.is_open} == AdminRoutes.OPEN


def test_each_operation_has_a_name_of_its_own_and_its_parameters() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names) > 70
    assert [name for name in names if not name.isidentifier()] == []
    for _, path, operation in OPERATIONS:
        in_path = {part["name"] for part in operation["parameters"] if part.get("in") == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))


def test_what_the_gateway_answers_is_as_described(engine: Any) -> None:  # noqa: F811
    engine.store.save_models("mimo", "https://mimo.example/v1", {"m": {"context": 9, "output": 3}}, 1.0)
    names = {"{model}": "mimo/m", "{session}": "a", "{request}": "r1"}
    for path, item in described.PATHS.items():
        asked_for = re.sub(r"\{\w+\}", lambda match: names[match[0]], path)
        for token in (ANYBODY, Token("t", "", "limited", session="a")):
            status, answer = asked(engine, asked_for, token)
            if status == 200 and item.schema is not None:
                assert against(item.schema, answer) == [], path
        assert asked(engine, asked_for)[0] == 200, path


def test_a_removed_session_is_as_described(engine: Any) -> None:  # noqa: F811
    engine.store.remove_session("a")
    assert against(described.ref("SessionStory"), asked(engine, "/holdfast/session/a")[1]) == []


def test_errors_are_as_described() -> None:
    error = refusal("no_such_session", session="x")
    for dialect, maker in {Dialect.OPENAI_CHAT: "OpenAI", Dialect.ANTHROPIC_MESSAGES: "Anthropic"}.items():
        schema = {**described.ref(f"{maker}Error"), "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(json.loads(error.body(dialect)))


def test_every_header_of_ours_is_described() -> None:
    written = re.findall(r'"(holdfast-[a-z-]+)"', Path(answer_headers.__file__).read_text("utf-8"))
    assert openapi.HEADERS.keys() == {*written, "holdfast-translated"}


def test_a_token_opens_it_and_nobody_else_reads_it(engine: Any) -> None:  # noqa: F811
    limited = Token("t", "", "limited", pins=(Pin.parse("mimo/m"),))
    assert asked(engine, "/holdfast/openapi.json", limited) == (200, DOCUMENT)
    assert asked(engine, "/holdfast/openapi.json", None)[0] == 401


def test_the_document_of_the_documentation_is_up_to_date() -> None:
    tool = runpy.run_path(str(ROOT / "docs" / "_generate" / "openapi.py"))
    assert tool["main"](["--check"]) == 0
