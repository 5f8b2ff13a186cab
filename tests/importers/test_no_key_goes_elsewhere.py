"""For every importer and any file of its grammar: no key in the result is at a host that the files do not
pair it with. `worlds` makes the providers; here they are written as each program writes them, and the pairs
that this allows are noted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings

from holdfast.importers import codex, crush, env, hermes, litellm, openclaw, opencode, pi
from holdfast.importers.entries import ImportResult
from importers.worlds import (
    BUILT_IN,
    KeyForm,
    Row,
    Url,
    World,
    a_key_that_a_row_uses_elsewhere,
    a_vendor_that_a_variable_moves,
    fields_of,
    refs,
    standing,
    url_text,
    usual,
    value_of,
    worlds,
    write,
)

EXAMPLES = min(settings.default.max_examples // 5, 250)


def of_litellm(world: World, folder: Path) -> ImportResult:
    rows = []
    for row in world.rows:
        name = row.name if row.name in BUILT_IN else "openai"
        params = fields_of(row, url="api_base", key="api_key", reference="os.environ/{}")
        params["model"] = f"{name}/m{row.number}"
        rows.append({"model_name": f"m{row.number}", "litellm_params": params})
        named = Row(row.number, name, row.url, row.key, row.key_of)
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
        options = fields_of(row, url="baseURL", key="apiKey", reference="{{env:{}}}")
        if row.key is KeyForm.APART:
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
        fields = fields_of(row, url="baseUrl", key="apiKey", reference="${}")
        if row.key is KeyForm.APART:
            auth[row.name] = {"type": "api_key", "key": row.value}
        providers[row.name] = {"api": "openai-completions", "models": [{"id": "m"}], **fields}
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
            world.allow(asked, keys=(row.value,), moves=False)
        elif row.key in (KeyForm.VARIABLE, KeyForm.USUAL):
            world.allow(asked, keys=refs(row, world), moves=False)
        elif row.key is KeyForm.APART:
            world.allow(asked, keys=(apart,), moves=False)
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


def of_crush(world: World, folder: Path) -> ImportResult:
    providers = {}
    for row in world.rows:
        fields = fields_of(row, url="base_url", key="api_key", reference="${}")
        table: dict[str, Any] = {"models": [{"id": "m"}], **fields}
        if row.name not in BUILT_IN:
            table["type"] = "openai-compat"
        providers[row.name] = table
        if row.key is not KeyForm.APART:
            allow_json(world, row, moves=False)
        else:
            allow_usual(world, row)
    write(folder, crush__json={"providers": providers})
    return crush.read(folder, world.environ)


def of_openclaw(world: World, folder: Path) -> ImportResult:
    providers = {}
    for row in world.rows:
        fields = fields_of(row, url="baseUrl", key="apiKey", reference="${{{}}}")
        providers[row.name] = {"api": "openai-completions", "models": [{"id": "m"}], **fields}
        if row.key is not KeyForm.APART:
            allow_json(world, row, moves=False)
    write(folder, openclaw__json={"models": {"providers": providers}})
    return openclaw.read(folder, world.environ)


def of_hermes(world: World, folder: Path) -> ImportResult:
    """The user's own entries, the pool of the vendors' keys, and the vendors' variables in .env."""
    entries: dict[str, Any] = {}
    pool: dict[str, Any] = {}
    lines = [f"{usual(name).replace('_API_KEY', '_BASE_URL')}={url}" for name, url in world.base_urls.items()]
    environ = {name: value for name, value in world.environ.items() if not name.endswith("_BASE_URL")}
    for row in world.rows:
        base = url_text(row, "${{{}}}")
        if row.name not in BUILT_IN:
            entries[row.name] = {"api": base or "", "key_env": row.variable, "models": ["m"]}
            world.allow(row, keys=refs(row, world))
        elif row.key is KeyForm.APART:
            pooled = {
                "source": "manual",
                "auth_type": "api_key",
                "label": row.name,
                "access_token": row.value,
            }
            if row.url is Url.WRITTEN:
                pooled["base_url"] = row.address
            pool[row.name] = [pooled]
            own = Row(row.number, row.name, row.url, row.key, row.key_of)
            if row.url is not Url.WRITTEN:
                own = Row(row.number, row.name, Url.ABSENT, row.key, row.key_of)
            world.allow(own, keys=(row.value,))
        else:
            lines.append(f"{usual(row.name)}={row.value}")
        if row.name in BUILT_IN:
            keys = (f"env:{usual(row.name)}", row.value, world.environ.get(usual(row.name), ""))
            world.allow(Row(row.number, row.name, Url.ABSENT, row.key, row.key_of), keys=keys)
    (folder / ".env").write_text("\n".join(lines), "utf-8")
    write(folder, config__yaml={"providers": entries}, auth__json={"credential_pool": pool})
    return hermes.read(folder, environ)


PROGRAMS: dict[str, Callable[[World, Path], ImportResult]] = {
    "codex": of_codex,
    "crush": of_crush,
    "env": of_env,
    "hermes": of_hermes,
    "litellm": of_litellm,
    "openclaw": of_openclaw,
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
        if program not in ("env", "hermes") or row.name in BUILT_IN:
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
