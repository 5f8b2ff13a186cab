"""For every importer and any file of its grammar: no key in the result is at a host that the files do not
pair it with.

Providers are made at random: a built-in name or one of the user's own; a URL that is written, in a variable
that is set, in one that is not, or absent; a key in each form that a program has. Each provider has a host
and a key of its own, unless it shares the key of another. They are written as each program writes them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.core.secret import Secret
from holdfast.importers import codex, env, litellm, opencode, pi
from holdfast.importers.entries import ImportResult
from holdfast.providers import presets

EXAMPLES = settings.default.max_examples // 4
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


def write(folder: Path, **files: object) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def of_litellm(world: World, folder: Path) -> ImportResult:
    rows = []
    for row in world.rows:
        params: dict[str, Any] = {"model": f"{row.name if row.name in BUILT_IN else 'openai'}/m{row.number}"}
        base = url_text(row, "os.environ/{}")
        if base is not None:
            params["api_base"] = base
        if row.key is KeyForm.LITERAL:
            params["api_key"] = row.value
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            params["api_key"] = f"os.environ/{row.variable}"
        rows.append({"model_name": f"m{row.number}", "litellm_params": params})
        named = Row(row.number, row.name if row.name in BUILT_IN else "openai", row.url, row.key, row.key_of)
        if row.key is KeyForm.LITERAL:
            world.allow(named, keys=(row.value,))
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            world.allow(named, keys=refs(row, world))
        elif row.url is Url.ABSENT:
            allow_usual(world, named)
    write(folder, config__yaml={"model_list": rows})
    return litellm.read(folder / "config.yaml", world.environ)


def allow_usual(world: World, row: Row) -> None:
    """A program looks for the vendor's variable itself."""
    if row.name in BUILT_IN:
        name = usual(row.name)
        world.allow(row, keys=(f"env:{name}", world.environ.get(name, "")))


def of_opencode(world: World, folder: Path) -> ImportResult:
    providers, auth = {}, {}
    for row in world.rows:
        options: dict[str, Any] = {}
        base = url_text(row, "{{env:{}}}")
        if base is not None:
            options["baseURL"] = base
        if row.key is KeyForm.LITERAL:
            options["apiKey"] = row.value
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            options["apiKey"] = f"{{env:{row.variable}}}"
        elif row.key is KeyForm.APART:
            auth[row.name] = {"type": "api", "key": row.value}
        providers[row.name] = {"options": options, "models": {"m": {}}}
        allow_json(world, row)
    write(folder, opencode__json={"provider": providers})
    (folder / "opencode").mkdir()
    write(folder / "opencode", auth__json=auth)
    return opencode.read(folder / "opencode.json", {"XDG_DATA_HOME": str(folder), **world.environ})


def allow_json(world: World, row: Row, *, moves: bool = True) -> None:
    if row.key in (KeyForm.LITERAL, KeyForm.APART):
        world.allow(row, keys=(row.value,), moves=moves)
    elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
        if row.key is KeyForm.USUAL and not moves and row.name in world.base_urls and row.url is Url.ABSENT:
            return
        world.allow(row, keys=refs(row, world), moves=moves)
    elif moves or row.url is not Url.ABSENT or row.name not in world.base_urls:
        allow_usual(world, row)


def of_pi(world: World, folder: Path) -> ImportResult:
    providers, auth = {}, {}
    for row in world.rows:
        table: dict[str, Any] = {"api": "openai-completions", "models": [{"id": "m"}]}
        base = url_text(row, "${}")
        if base is not None:
            table["baseUrl"] = base
        if row.key is KeyForm.LITERAL:
            table["apiKey"] = row.value
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            table["apiKey"] = f"${row.variable}"
        elif row.key is KeyForm.APART:
            auth[row.name] = {"type": "api_key", "key": row.value}
        providers[row.name] = table
        allow_json(world, row, moves=False)
    write(folder, models__json={"providers": providers}, auth__json=auth)
    return pi.read(folder, world.environ)


def of_codex(world: World, folder: Path) -> ImportResult:
    tables, apart = [], ""
    for row in world.rows:
        lines = [f"[model_providers.{row.name}]", 'wire_api = "responses"']
        written = row.url in (Url.WRITTEN, Url.SET)
        if written:
            lines.append(f'base_url = "{row.address}"')
        if row.key is KeyForm.LITERAL:
            lines.append(f'experimental_bearer_token = "{row.value}"')
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            lines.append(f'env_key = "{row.variable}"')
        elif row.key is KeyForm.APART:
            lines.append("requires_openai_auth = true")
            apart = apart or row.value
        tables.append("\n".join(lines))
        # Without base_url, Codex asks OpenAI.
        asked = Row(row.number, row.name, Url.WRITTEN, row.key, row.key_of)
        if not written:
            asked = Row(row.number, "openai", Url.ABSENT, row.key, row.key_of)
        if row.key is KeyForm.LITERAL:
            world.allow(asked, keys=(row.value,))
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            world.allow(asked, keys=refs(row, world))
        elif row.key is KeyForm.APART:
            world.allow(asked, keys=(apart,))
    if apart and not any(row.key is KeyForm.APART for row in world.rows):
        world.allow(Row(0, "openai", Url.ABSENT, KeyForm.APART, 0), keys=(apart,))
    write(folder, config__toml="\n\n".join(tables), auth__json={"OPENAI_API_KEY": apart} if apart else {})
    return codex.read(folder, world.environ)


def of_env(world: World, folder: Path) -> ImportResult:
    lines = []
    for row in world.rows:
        if row.name not in BUILT_IN:
            continue
        name, base = usual(row.name), usual(row.name).replace("_API_KEY", "_BASE_URL")
        lines.append(f"{name}={row.value}")
        if row.url is Url.WRITTEN:
            lines.append(f"{base}={row.address}")
        if row.url is not Url.WRITTEN and row.name in world.base_urls:
            continue  # a URL of the environment's, and a key of the file's
        keys = (row.value, *([f"env:{name}"] if world.environ.get(name) in (None, row.value) else []))
        url = Url.WRITTEN if row.url is Url.WRITTEN else Url.ABSENT
        world.allow(Row(row.number, row.name, url, row.key, row.key_of), keys=keys)
    for name in BUILT_IN:
        value = world.environ.get(usual(name))
        if value and name not in [row.name for row in world.rows]:
            world.allow(Row(0, name, Url.ABSENT, KeyForm.USUAL, 0), keys=(f"env:{usual(name)}", value))
    (folder / ".env").write_text("\n".join(lines), "utf-8")
    return env.read(folder / ".env", world.environ)


PROGRAMS: dict[str, Callable[[World, Path], ImportResult]] = {
    "codex": of_codex,
    "env": of_env,
    "litellm": of_litellm,
    "opencode": of_opencode,
    "pi": of_pi,
}


@pytest.mark.parametrize("program", PROGRAMS)
@given(world=worlds())
@example(world=a_vendor_that_a_variable_moves())
@example(world=a_key_that_a_row_uses_elsewhere())
@settings(deadline=None, max_examples=EXAMPLES)
def test_no_key_is_at_a_host_that_the_files_do_not_pair_it_with(program: str, world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = PROGRAMS[program](world, Path(folder))
    assert standing(result) <= world.allowed
    shown = repr(result)
    for row in world.rows:
        assert value_of(row.number) not in shown
        if program != "env" or row.name in BUILT_IN:
            assert is_named(row, result)


def is_named(row: Row, result: ImportResult) -> bool:
    """Whether a provider was imported, or is named among what is left out."""
    names = [row.name, f"m{row.number}"]
    if row.name in BUILT_IN:
        names.append(usual(row.name))
    noted = " ".join(what for what, _ in result.left_out)
    urls = [str(entry.fields.get("url", "")) for entry in result.entries]
    known = [str(entry.name) for entry in result.entries]
    known += [str(entry.fields.get("models")) for entry in result.entries]
    return any(name in " ".join((noted, *known)) for name in names) or any(row.host in url for url in urls)
