"""The JSON Schema of holdfast.toml, against the parser: it refuses the names that the parser does not know,
and nothing that the parser takes."""

from __future__ import annotations

import copy
import json
import re
import runpy
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from holdfast.cli import init
from holdfast.config import caps_tables, old_words, schema
from holdfast.config.parse import parse
from holdfast.config.schema_file import text
from holdfast.core.errors import ConfigError, IdentityError
from holdfast.providers import presets
from tables import rows

ROOT = Path(__file__).parents[2]
JUDGE = Draft7Validator(json.loads(text()))
_BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^# (?=\[|\"|\w+ +=)", re.MULTILINE)
ODD: tuple[object, ...] = (
    True,
    False,
    -1,
    0,
    1.5,
    3,
    "",
    " ",
    "x",
    "10m",
    "P1D",
    "1 MiB",
    [],
    ["x"],
    {},
    [1],
)
NESTED = ("endpoints", "models", "keys", "caps", "from")
"""Fields whose values the parser reads as tables of their own."""
WHOLE: dict[str, Any] = {
    "provider": {
        "acme": {
            "preset": "openai",
            "endpoints": {
                "openai-chat": "https://acme.example/v1",
                "anthropic-messages": {
                    "url": "https://acme.example",
                    "auth": "x-api-key",
                    "headers": {"x-team": "a"},
                },
            },
            "auth": "bearer",
            "headers": {"x-one": "two"},
            "models": ["a", {"id": "b", "context": 9, "output": 3, "input": ["text"], "reasoning": True}],
            "keys": [
                "env:ONE",
                {"from": "cmd:print it", "value": "a.b", "label": "two", "account": "team"},
                {"from": "env:EU", "endpoints": {"openai-chat": "https://eu.example/v1"}},
            ],
            "strategy": "round-robin",
            "profile": "generic",
            "answers_as": {"ours": "gpt-5"},
            "forward_headers": ["x-user-id"],
            "translate": ["openai-responses"],
            "caps": {
                "openai-chat": {"efforts": ["low"], "max_tokens": "max_completion_tokens", "tools": True}
            },
        },
        "local": {"url": "http://127.0.0.1:1/v1", "dialect": "openai-responses", "auth": "none"},
        "corp": {"url": "https://corp.example/v1", "keys": ["oauth:corp", "wif:cloud"], "translate": "exact"},
    },
    "signin": {
        "corp": {
            "client_id": "me",
            "token_url": "https://login.example/token",
            "device_url": "https://login.example/device",
            "scopes": ["chat"],
            "client_secret": "env:SECRET",
            "client_auth": "basic",
        },
        "cloud": {
            "token_url": "https://login.example/token",
            "assertion": "file:/var/token",
            "kind": "google",
            "fields": {"audience": "x"},
        },
    },
    "fallback": {"acme/a": {"then": ["corp/b"], "return_after": "10m", "check": False}},
    "settings": {"probe_delays": [0.5, "1s"], "replay_limit": "32MiB", "stall_timeout": 3},
    "gateway": {"listen": "127.0.0.1:1", "store": "memory:", "names": ["a.example"], "comment_after": 0},
    "store": {"keep": "90d", "max_size": "256MiB", "pepper": "env:PEPPER"},
}
"""A file in which every kind of table is."""


def refusals(document: Mapping[str, Any]) -> list[str]:
    """Return what the parser has against a document."""
    try:
        parse(document, presets=presets.find, locate=lambda path: path)
    except ConfigError as error:
        return [problem.what for problem in error.problems]
    return []


def tables_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every table and of every list's entry."""
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from tables_in(inner, (*path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from tables_in(inner, (*path, position))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every TOML file of ours that is a configuration: in documents, fixtures and the command line."""
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*/*.md"), *ROOT.glob("design/*.md")):
        for block in _BLOCK.findall(page.read_text("utf-8")):
            yield page.name, tomllib.loads(block)
    for path in (ROOT / "tests" / "fixtures").rglob("*.toml"):
        yield path.name, old_words.renamed(tomllib.loads(path.read_text("utf-8")))
    yield "init", tomllib.loads(_COMMENT.sub("", init.TEMPLATE))
    yield "all of it", WHOLE


def test_the_packaged_schema_is_that_of_the_tables() -> None:
    tool = runpy.run_path(str(ROOT / "docs" / "_generate" / "config_schema.py"))
    assert tool["main"](["--check"]) == 0
    Draft7Validator.check_schema(json.loads(text()))


def test_every_example_of_a_configuration_passes() -> None:
    seen, wrong = 0, []
    for name, document in examples():
        if document.keys() <= schema.TOP.keys():
            seen += 1
            wrong += [f"{name}: {error.json_path}: {error.message}" for error in JUDGE.iter_errors(document)]
    assert wrong == []
    assert seen > 15
    assert refusals(WHOLE) == []


def test_a_name_that_the_parser_does_not_know_is_refused_in_every_table() -> None:
    unknown = []
    for path in tables_in(WHOLE):
        document = copy.deepcopy(WHOLE)
        at(document, path)["no_such_key"] = "x"
        if "unknown key 'no_such_key'" in refusals(document):
            unknown.append(path)
            assert not JUDGE.is_valid(document), path
    assert len(unknown) == 15


def test_a_value_that_the_parser_takes_passes() -> None:
    tables = {
        "provider": schema.PROVIDER,
        "endpoint": schema.ENDPOINT,
        "model": schema.MODEL,
        "key": schema.KEY,
        "caps": caps_tables.FIELDS,
        "signin": schema.SIGN_IN,
        "fallback": schema.FALLBACK,
        "settings": schema.SETTINGS,
        "gateway": schema.GATEWAY,
        "store": schema.STORE,
    }
    taken = refused = 0
    for table, fields in tables.items():
        for name, converter in fields.items():
            judge = Draft7Validator(JUDGE.schema["definitions"][table]["properties"][name])
            for value in ODD if name not in NESTED else ():
                try:
                    converter(value)
                except (ValueError, IdentityError):
                    refused += not judge.is_valid(value)
                else:
                    taken += 1
                    assert judge.is_valid(value), (table, name, value)
    assert taken > 150
    assert refused > 800, "the schema refuses most of what the parser refuses"


def test_every_field_says_what_it_is_for() -> None:
    definitions = JUDGE.schema["definitions"]
    members = [field for table in definitions.values() for field in table["properties"].values()]
    assert [member for member in members if len(member.get("description", "")) < 5] == []


@rows(
    "document",
    [
        {"provider": {"a": {"url": "https://a.example", "caps": {"openai": {}}}}},
        {"provider": {"a": {"url": "https://a.example", "keys": ["sk-of-mine"]}}},
        {"provider": {"a": {"url": "https://a.example", "endpoints": {}}}},
        {next(iter(old_words.RENAMED)): {}},
    ],
)
def test_what_the_parser_refuses_by_its_names_is_refused(document: dict[str, Any]) -> None:
    assert refusals(document)
    assert not JUDGE.is_valid(document)
