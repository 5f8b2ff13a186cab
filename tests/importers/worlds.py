"""Providers of other programs, made at random: a built-in name or one of the user's own; a URL that is
written, in a variable that is set, in one that is not, or absent; a key in each form that a program has. Each
has a host and a key of its own, unless it shares the key of another."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hypothesis import strategies as st

from holdfast.importers.entries import ImportResult
from holdfast.providers import presets
from holdfast.values.secret import Secret

BUILT_IN = ("openai", "anthropic", "groq", "mistral", "openrouter", "deepseek", "xai")
OWN = ("corp", "relay", "my-box")


class Url(Enum):
    WRITTEN = "written"
    SET = "in a variable that is set"
    UNSET = "in a variable that is not set"
    ABSENT = "absent"


class KeyForm(Enum):
    LITERAL = "a value in the file"
    VARIABLE = "a variable"
    USUAL = "the variable of the vendor"
    APART = "in the program's file of keys"
    ABSENT = "absent"


@dataclass(frozen=True)
class Row:
    """One provider of a generated file. `number` makes its host and its key its own; `key_of` is the number
    of the row whose key it has."""

    number: int
    name: str
    url: Url
    key: KeyForm
    key_of: int

    @property
    def host(self) -> str:
        return f"h{self.number}.example"

    @property
    def address(self) -> str:
        return f"https://{self.host}/v1"

    @property
    def variable(self) -> str:
        if self.key is KeyForm.USUAL and self.name in BUILT_IN:
            return usual(self.name)
        return f"GIVEN_KEY_{self.key_of}"

    @property
    def value(self) -> str:
        return value_of(self.key_of)


@dataclass
class World:
    """Generated providers, the environment, and the pairs that the files allow, as (reference or value,
    host)."""

    rows: list[Row]
    base_urls: dict[str, str]
    environ: dict[str, str] = field(default_factory=dict)
    allowed: set[tuple[str, str]] = field(default_factory=set)

    def allow(self, row: Row, *, keys: tuple[str, ...], moves: bool = True) -> None:
        """Note where this row's key may go: to its own URL, else to its vendor's host, unless a variable
        moves the vendor."""
        if row.url in (Url.WRITTEN, Url.SET):
            hosts = {row.host}
        elif row.url is Url.UNSET or row.name not in BUILT_IN:
            hosts = set()
        elif row.name in self.base_urls and moves:
            hosts = {host_of(self.base_urls[row.name])}
        else:
            hosts = vendor_hosts(row.name)
        self.allowed |= {(key, host) for key in keys for host in hosts}


def value_of(number: int) -> str:
    return f"k{number}-FAKE0123456789abcdef"


def usual(name: str) -> str:
    variable: str = presets.find(name)["env"][0]
    return variable


def host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def vendor_hosts(name: str) -> set[str]:
    return {host_of(url) for url in presets.find(name)["endpoints"].values()}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = draw(st.lists(st.sampled_from((*BUILT_IN, *OWN)), min_size=1, max_size=5, unique=True))
    rows: list[Row] = []
    for number, name in enumerate(names):
        key_of = draw(st.sampled_from([number, *range(number)]))
        rows.append(Row(number, name, draw(st.sampled_from(Url)), draw(st.sampled_from(KeyForm)), key_of))
    moved = draw(st.lists(st.sampled_from(BUILT_IN), max_size=2, unique=True))
    base_urls = {name: f"https://{name}-moved.example/v1" for name in moved}
    world = World(rows, base_urls)
    for row in rows:
        if row.url is Url.SET:
            world.environ[f"GIVEN_URL_{row.number}"] = row.address
    for name, url in base_urls.items():
        world.environ[usual(name).replace("_API_KEY", "_BASE_URL")] = url
    for number in draw(st.sets(st.integers(0, len(rows) - 1))):
        world.environ[rows[number].variable] = rows[number].value
    return world


def a_vendor_that_a_variable_moves() -> World:
    """The vendor's variable beside a base URL, found by its name or written in the file."""
    rows = [Row(0, "groq", Url.ABSENT, KeyForm.USUAL, 0), Row(1, "openai", Url.ABSENT, KeyForm.APART, 1)]
    moved = {"groq": "https://groq-moved.example/v1", "openai": "https://openai-moved.example/v1"}
    environ = {usual(name).replace("_API_KEY", "_BASE_URL"): url for name, url in moved.items()}
    return World(rows, moved, {**environ, usual("groq"): value_of(0)})


def a_key_that_a_row_uses_elsewhere() -> World:
    """A key of an own URL that could also be found for a vendor."""
    rows = [Row(0, "corp", Url.WRITTEN, KeyForm.APART, 0), Row(1, "openai", Url.ABSENT, KeyForm.ABSENT, 1)]
    return World(rows, {}, {})


def refs(row: Row, world: World) -> tuple[str, ...]:
    """The reference of a key in a variable, and its value where that is known."""
    value = world.environ.get(row.variable)
    if value is None:
        return (f"env:{row.variable}",)
    return f"env:{row.variable}", value


def standing(result: ImportResult) -> set[tuple[str, str]]:
    """Every key of the result, by reference and by value, with every host where it would be sent."""
    pairs: set[tuple[str, str]] = set()
    for entry in result.entries:
        provider = entry.provider()
        for key, ours in zip(entry.keys, provider.keys, strict=True):
            values = [value.reveal() for value in (key.secret, key.seen) if isinstance(value, Secret)]
            for endpoint in ours.endpoints or provider.endpoints:
                pairs |= {(shown, endpoint.host) for shown in (key.ref, *values) if shown}
    return pairs


def url_text(row: Row, reference: str) -> str | None:
    """The URL as a program writes it; `reference` is its form of a variable."""
    if row.url is Url.ABSENT:
        return None
    if row.url is Url.WRITTEN:
        return row.address
    return reference.format(f"GIVEN_URL_{row.number}")


def fields_of(row: Row, *, url: str, key: str, reference: str) -> dict[str, str]:
    """Return the fields for URL and key, as a program of these names and this form of a variable has them."""
    fields = {}
    base = url_text(row, reference)
    if base is not None:
        fields[url] = base
    if row.key is KeyForm.LITERAL:
        fields[key] = row.value
    elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
        fields[key] = reference.format(row.variable)
    return fields


def write(folder: Path, **files: object) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
