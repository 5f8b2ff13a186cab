"""Write the JSON Schema of holdfast.toml, by which editors complete and check it.

It says what `config/schema.py` takes, in the words of docs/reference/configuration.md.

python docs/_generate/config_schema.py --write     bring the file in the package up to date
python docs/_generate/config_schema.py --check     exit 1 if it is not
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.config import caps_tables, converters, schema
from holdfast.core.identity import Dialect

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "configuration.md"
TARGET = ROOT / "src" / "holdfast" / "config" / "holdfast.schema.json"
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
_ROW = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| (.+) \|$", re.MULTILINE)
_TABLE = re.compile(r"^\| (?:key|member) \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", re.MULTILINE)
TABLES = {
    "provider": ("`[provider.NAME]`", schema.PROVIDER),
    "model": ("Models", schema.MODEL),
    "caps": ("What an endpoint takes", caps_tables.FIELDS),
    "key": ("Keys", schema.KEY),
    "signin": ("`[signin.NAME]`", schema.SIGN_IN),
    "fallback": ("`[fallback]`", schema.FALLBACK),
    "settings": ("`[settings]`", schema.SETTINGS),
    "gateway": ("`[gateway]`", schema.GATEWAY),
    "store": ("`[store]`", schema.STORE),
    "endpoint": ("`[provider.NAME]`", schema.ENDPOINT),
}
"""For each table the section of the page that describes it, and its fields."""
TOP = {
    "provider": "the providers, each by a name of your own",
    "fallback": "which pins may answer for a pin while it cannot; no other ever does",
    "signin": "sign-ins: the sources of keys oauth:NAME and wif:NAME",
    "settings": "how long recovery may take, and how much it may keep",
    "gateway": "the settings of holdfast serve",
    "store": "how long things are kept",
}


def document() -> dict[str, Any]:
    """Return the schema, of draft 7, which editors read."""
    page = PAGE.read_text("utf-8")
    definitions = {name: _table(*of, page) for name, of in TABLES.items()}
    _nest(definitions)
    members = {name: {"description": TOP[name], **_top(name)} for name in schema.TOP}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "holdfast.toml",
        "description": "What you decided: providers, references to their keys, fallbacks and settings.",
        "type": "object",
        "additionalProperties": False,
        "properties": members,
        "definitions": definitions,
    }


def _table(section: str, fields: schema.Fields, page: str) -> dict[str, Any]:
    """Return the schema of a table whose fields a section describes."""
    words = dict(_described(page, section))
    members = {name: {"description": words[name], **field.json} for name, field in fields.items()}
    return {"type": "object", "additionalProperties": False, "properties": members}


def _described(page: str, section: str) -> Iterator[tuple[str, str]]:
    """Yield the names and meanings in the tables of a section."""
    text = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for rows in _TABLE.findall(text):
        for names, meaning in _ROW.findall(rows):
            for name in re.findall(r"\w+", names):
                yield name, _LINK.sub(r"\1", meaning)


def _nest(definitions: dict[str, Any]) -> None:
    """Put the tables into those that have them, and say what must be there, and what not together."""
    a_reference = converters.reference_json()
    provider, key = definitions["provider"], definitions["key"]
    provider["properties"]["endpoints"] |= _by_dialect({"anyOf": [{"type": "string"}, _ref("endpoint")]})
    provider["properties"]["models"]["items"] = {"anyOf": [{"type": "string"}, _ref("model")]}
    provider["properties"]["keys"]["items"] = {"anyOf": [a_reference, _ref("key")]}
    provider["properties"]["caps"] |= _by_dialect(_ref("caps"))
    provider["dependencies"] = {"dialect": ["url"]}
    key["properties"]["from"] |= a_reference
    key["properties"]["endpoints"] = {
        **key["properties"]["endpoints"],
        **_by_dialect({"anyOf": [{"type": "string"}, _ref("endpoint")]}),
    }
    for table in (provider, key):
        table["not"] = {"required": ["url", "endpoints"]}
    required = {"key": ["from"], "model": ["id"], "endpoint": ["url"], "fallback": ["then"]}
    for name, members in {**required, "signin": ["token_url"]}.items():
        definitions[name]["required"] = members


def _by_dialect(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False, "properties": {str(dialect): value for dialect in Dialect}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def _top(name: str) -> dict[str, Any]:
    """Return the schema of a table of the file: one table, or one for each name."""
    if name in ("provider", "fallback", "signin"):
        return {"type": "object", "additionalProperties": _ref(name)}
    return {"allOf": [_ref(name)]}  # beside "$ref" a description would not be read


def main(arguments: list[str]) -> int:
    """Run as a program. Return the exit code."""
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--write"]:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text("utf-8") != text:
        sys.stderr.write(
            f"{TARGET.name} is out of date; run: python docs/_generate/config_schema.py --write\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
