"""The property of test_no_key_goes_elsewhere for the other importers, whose grammars are small: each writes
the same random providers, as far as its program can say them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from holdfast.importers import programs
from holdfast.importers.entries import ImportResult
from importers.test_no_key_goes_elsewhere import PROGRAMS
from importers.worlds import BUILT_IN, OWN, KeyForm, Row, Url, World, refs, standing, usual, worlds, write

EXAMPLES = min(settings.default.max_examples // 8, 150)
OPENAI = ("openai", "anthropic")
GEMINI_HOST = "generativelanguage.googleapis.com"


def has_url(row: Row) -> bool:
    return row.url in (Url.WRITTEN, Url.SET)


def as_asked(row: Row, name: str) -> Row:
    """The row as its program asks it: at its own URL, else at the vendor's."""
    url = Url.WRITTEN if has_url(row) else Url.ABSENT
    return Row(row.number, name, url, row.key, row.key_of)


def key_text(world: World, row: Row, name: str, reference: str, *, moves: bool = True) -> str:
    """The key as a program writes it, "" for none; where it may go is noted."""
    asked = as_asked(row, name)
    if row.key is KeyForm.LITERAL:
        world.allow(asked, keys=(row.value,), moves=moves)
        return row.value
    if row.key is KeyForm.ABSENT:
        if name in BUILT_IN:
            variable = usual(name)
            world.allow(asked, keys=(f"env:{variable}", world.environ.get(variable, "")))
        return ""
    world.allow(asked, keys=refs(row, world), moves=moves)
    return reference.format(row.variable)


def with_url(row: Row, field: str) -> dict[str, Any]:
    return {field: row.address} if has_url(row) else {}


def of_claude_code_router(world: World, folder: Path) -> None:
    rows = [
        {
            "name": row.name,
            **with_url(row, "api_base_url"),
            "api_key": key_text(world, row, "", "${}"),
            "models": ["m"],
        }
        for row in world.rows
    ]
    write(folder, config__json={"Providers": rows})


def of_continue(world: World, folder: Path) -> None:
    rows = []
    for row in world.rows:
        name = row.name if row.name in BUILT_IN else "openai"
        rows.append(
            {
                "name": f"m{row.number}",
                "provider": name,
                "model": "m",
                **with_url(row, "apiBase"),
                "apiKey": key_text(world, row, name, "${{{{ secrets.{} }}}}", moves=False),
            }
        )
    write(folder, config__yaml={"models": rows})


def of_goose(world: World, folder: Path) -> None:
    (folder / "custom_providers").mkdir()
    for row in world.rows:
        if row.name in BUILT_IN or not has_url(row):
            continue
        table = {
            "name": row.name,
            "engine": "openai",
            "api_key_env": row.variable,
            "base_url": row.address,
            "models": [{"name": "m"}],
        }
        world.allow(as_asked(row, ""), keys=refs(row, world))
        write(folder / "custom_providers", **{f"{row.name.replace('-', '_')}__json": table})
    write(folder, config__yaml={})


def of_zed(world: World, folder: Path) -> None:
    tables = {}
    for row in world.rows:
        tables[row.name] = {"api_url": row.address, "available_models": [{"name": "m"}]}
        variable = f"{row.name.upper().replace('-', '_')}_API_KEY"
        keys = (f"env:{variable}", world.environ.get(variable, ""))
        world.allow(Row(row.number, "", Url.WRITTEN, row.key, row.key_of), keys=keys)
    write(folder, settings__json={"language_models": {"openai_compatible": tables}})


def of_qwen(world: World, folder: Path) -> None:
    rows = []
    for row in world.rows:
        world.allow(as_asked(row, "openai"), keys=refs(row, world))
        rows.append({"id": f"m{row.number}", "envKey": row.variable, **with_url(row, "baseUrl")})
    write(folder, settings__json={"modelProviders": {"openai": rows}})


def of_llm(world: World, folder: Path) -> None:
    rows, kept = [], {}
    for row in world.rows:
        rows.append(
            {
                "model_id": f"m{row.number}",
                "model_name": "m",
                **with_url(row, "api_base"),
                "api_key_name": row.name,
            }
        )
        kept[row.name] = row.value
        # Without api_base it is OpenAI's; without a row of its own a name is its vendor's.
        world.allow(as_asked(row, "openai"), keys=(row.value,))
    lines = "\n".join(
        "\n".join(f"{'- ' if at == 0 else '  '}{key}: {value}" for at, (key, value) in enumerate(row.items()))
        for row in rows
    )
    write(folder, **{"extra-openai-models__yaml": lines, "keys__json": kept})


def of_aider(world: World, folder: Path) -> None:
    lines = []
    for row in world.rows:
        if row.name not in OPENAI:
            continue
        text = key_text(world, row, row.name, "")
        variable = usual(row.name)
        if row.key is KeyForm.LITERAL:
            lines.append(f"{row.name}-api-key: {text}")
            if world.environ.get(variable) in (None, text):
                world.allow(as_asked(row, row.name), keys=(f"env:{variable}",))
        else:
            world.allow(as_asked(row, row.name), keys=(f"env:{variable}", world.environ.get(variable, "")))
        if row.name == "openai" and has_url(row):
            lines.append(f"openai-api-base: {row.address}")
    write(folder, **{".aider.conf__yml": "\n".join(lines) + "\n"})


def of_claude(world: World, folder: Path) -> None:
    row = world.rows[0]
    own: dict[str, str] = {}
    if has_url(row):
        own["ANTHROPIC_BASE_URL"] = row.address
    if row.key is KeyForm.LITERAL:
        own["ANTHROPIC_API_KEY"] = row.value
        world.allow(as_asked(row, "anthropic"), keys=(row.value,))
    variable = usual("anthropic")
    value = world.environ.get(variable, "")
    if row.key is not KeyForm.LITERAL:
        world.allow(as_asked(row, "anthropic"), keys=(f"env:{variable}", value))
    elif value in ("", row.value):
        world.allow(as_asked(row, "anthropic"), keys=(f"env:{variable}",))
    write(folder, settings__json={"env": own})


def of_gemini(world: World, folder: Path) -> None:
    row = world.rows[0]
    lines = [f"GEMINI_API_KEY={row.value}"]
    if has_url(row):
        lines.append(f"GOOGLE_GEMINI_BASE_URL={row.address}")
        world.allowed |= {(key, row.host) for key in (row.value, "env:GEMINI_API_KEY")}
    else:
        world.allowed |= {(key, GEMINI_HOST) for key in (row.value, "env:GEMINI_API_KEY")}
    (folder / ".env").write_text("\n".join(lines), "utf-8")
    write(folder, settings__json={"security": {"auth": {"selectedType": "gemini-api-key"}}})


def of_cc_switch(world: World, folder: Path) -> None:
    """Each provider is a profile of one program, in the file of before 3.7."""
    apps: dict[str, Any] = {}
    for row in world.rows:
        app = APP_OF[row.name]
        manager = apps.setdefault(app, {"current": row.name, "providers": {}})
        manager["providers"][row.name] = {"name": row.name, "settingsConfig": SETTINGS_OF[app](world, row)}
    write(folder, config__json={"version": 2, **apps})


def of_cc_switch_claude(world: World, row: Row) -> dict[str, Any]:
    """A token without an address is Claude Code's own sign-in, and goes nowhere."""
    env: dict[str, Any] = with_url(row, "ANTHROPIC_BASE_URL")
    if row.key is KeyForm.LITERAL:
        env["ANTHROPIC_API_KEY"] = row.value
        world.allow(as_asked(row, "anthropic"), keys=(row.value,), moves=False)
    elif row.key is not KeyForm.ABSENT:
        env["ANTHROPIC_AUTH_TOKEN"] = row.value
        world.allow(as_asked(row, ""), keys=(row.value,))
    return {"env": env}


def of_cc_switch_codex(world: World, row: Row) -> dict[str, Any]:
    """The key of auth.json wins over the two that a provider's table can have."""
    lines = [f'model_provider = "{row.name}"', f"[model_providers.{row.name}]"]
    lines += [f'{name} = "{value}"' for name, value in with_url(row, "base_url").items()]
    auth, keys = {}, (row.value,)
    if row.key is KeyForm.LITERAL:
        lines.append(f'experimental_bearer_token = "{row.value}"')
    elif row.key is KeyForm.APART:
        auth["OPENAI_API_KEY"] = row.value
    elif row.key is not KeyForm.ABSENT:
        lines.append(f'env_key = "{row.variable}"')
        keys = refs(row, world)
    if row.key is not KeyForm.ABSENT:
        world.allow(as_asked(row, "openai"), keys=keys, moves=False)
    return {"auth": auth, "config": "\n".join(lines)}


def of_cc_switch_gemini(world: World, row: Row) -> dict[str, Any]:
    """At an address of the user's it speaks Google's own API, so that its key goes nowhere."""
    env: dict[str, Any] = {"GEMINI_API_KEY": row.value, **with_url(row, "GOOGLE_GEMINI_BASE_URL")}
    if not has_url(row):
        world.allowed.add((row.value, GEMINI_HOST))
    return {"env": env}


def of_cc_switch_opencode(world: World, row: Row) -> dict[str, Any]:
    return {"options": {**with_url(row, "baseURL"), "apiKey": key_text(world, row, "", "${}")}}


def of_cc_switch_flat(world: World, row: Row) -> dict[str, Any]:
    return {
        "api": "openai-completions",
        **with_url(row, "baseUrl"),
        "apiKey": key_text(world, row, "", "${}"),
    }


SETTINGS_OF: dict[str, Callable[[World, Row], dict[str, Any]]] = {
    "claude": of_cc_switch_claude,
    "codex": of_cc_switch_codex,
    "gemini": of_cc_switch_gemini,
    "opencode": of_cc_switch_opencode,
    "openclaw": of_cc_switch_flat,
}
APP_OF = dict(zip((*BUILT_IN, *OWN), cycle(SETTINGS_OF)))
WRITERS: dict[str, Callable[[World, Path], None]] = {
    "aider": of_aider,
    "cc_switch": of_cc_switch,
    "claude": of_claude,
    "claude_code_router": of_claude_code_router,
    "continue_": of_continue,
    "gemini": of_gemini,
    "goose": of_goose,
    "llm": of_llm,
    "qwen": of_qwen,
    "zed": of_zed,
}


@pytest.mark.parametrize("program", WRITERS)
@given(world=worlds())
@settings(deadline=None, max_examples=EXAMPLES)
def test_no_key_is_at_a_host_that_the_files_do_not_pair_it_with(program: str, world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        WRITERS[program](world, Path(folder))
        environ = {"HOME": folder, **world.environ}
        result = import_module(f"holdfast.importers.{program}").read(Path(folder), environ)
    assert isinstance(result, ImportResult)
    assert standing(result) <= world.allowed
    shown = repr(result)
    assert not [row for row in world.rows if row.value in shown]


def test_the_rule_is_tried_with_every_importer_that_there_is() -> None:
    tried = [*PROGRAMS, *WRITERS]
    assert sorted(tried) == sorted(program.module for program in programs.PROGRAMS.values())
