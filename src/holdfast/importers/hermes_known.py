"""The providers of hermes's own table that a home uses: by its default, its fallbacks, its variables or its
pool of keys. Each is at our preset, unless the home gives it another URL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..providers import presets
from .addresses import OfPreset, OwnUrl, Unresolved, Where, canonical
from .hermes_builtin import BuiltIn, table
from .hermes_drafts import Draft, Drafts
from .hermes_entries import dialect_of
from .hermes_keys import POOL_FILE, has_key
from .keys import FoundKey, NoKey
from .names import preset_for

_FOUND_AT = f".env and {POOL_FILE}"
_SIGN_INS = ("ANTHROPIC_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_DIALECTS = {"anthropic": "anthropic-messages", "xai": "openai-responses"}
"""The dialects that hermes speaks to providers whose URL does not tell."""
_KEEPS_ITS_URL = ("openrouter", "copilot", "nous", "openai-codex")
"""Providers for which hermes ignores the URL of the block `model:`."""
_KIMI = "sk-kimi-"
_SIGN_IN = "it needs more than a URL and a key, such as a sign-in or the keys of a cloud"
_NO_PRESET = "we have no preset of that name: holdfast provider add NAME --url URL"

Keys = list[FoundKey | NoKey]


def add_known(drafts: Drafts, fallbacks: Iterable[str]) -> None:
    """Add the providers of hermes's own that have a key, or that the default or a fallback names."""
    home = drafts.home
    wanted = [own for own in map(home.own, filter(None, (home.provider, *fallbacks))) if own is not None]
    keys: dict[str, Keys] = {own.name: [] for own in wanted}
    for name, rows in drafts.keys.pools.items():
        owner = home.own(name)
        pooled = list(drafts.keys.pooled(name, rows))
        if owner is None:
            _refuse(drafts, name, pooled)
        else:
            keys.setdefault(owner.name, []).extend(_without_default(key, owner) for key in pooled)
    by_preset: dict[str, Keys] = {}
    for variable in _variables(drafts, wanted):
        own, preset = _owner(variable), presets.owner_of_variable(variable)
        if variable in _SIGN_INS:
            drafts.builder.leave_out(
                variable, "it holds the token of a sign-in, which works for one program only"
            )
        elif own is not None:
            keys.setdefault(own.name, []).append(drafts.keys.reader.found(variable))
        elif preset is not None:
            by_preset.setdefault(preset, []).append(drafts.keys.reader.found(variable))
    for name, theirs in keys.items():
        _add(drafts, table().get(name) or BuiltIn(name), theirs)
    for preset, theirs in by_preset.items():
        if has_key(theirs):
            drafts.all.append(
                Draft(preset, OfPreset(preset), theirs, _FOUND_AT, names={preset}, is_open=True)
            )


def _variables(drafts: Drafts, wanted: Sequence[BuiltIn]) -> list[str]:
    """Return the variables to look at: those that .env sets, and those of providers that are named."""
    in_file = [name for name, value in drafts.home.variables.items() if value.strip()]
    named = [name for own in wanted for name in own.env if _owner(name) == own]
    return list(dict.fromkeys((*in_file, *named)))


def _owner(variable: str) -> BuiltIn | None:
    """Return the provider of hermes's own whose key is in a variable: the first, where several take it."""
    return next((own for own in table().values() if variable in own.env), None)


def _without_default(key: FoundKey | NoKey, own: BuiltIn) -> FoundKey | NoKey:
    """Return a pooled key without the URL that hermes copies from its own table."""
    if isinstance(key, FoundKey) and key.url and canonical(key.url) == canonical(own.url):
        return replace(key, url="")
    return key


def _refuse(drafts: Drafts, name: str, keys: Keys) -> None:
    why = _NO_PRESET
    if name.startswith("custom:"):
        why = "config.yaml has no entry of that name"
    if has_key(keys):
        drafts.builder.refuse(f"{len(keys)} keys of '{name}' ({POOL_FILE})", why, keys)


def _add(drafts: Drafts, own: BuiltIn, keys: Keys) -> None:
    """Add a provider of hermes's own; Kimi's keys for its coding plan are for another host."""
    where = place_of(drafts, own)
    preset = preset_for("hermes", own.name)
    is_named = drafts.home.own(drafts.home.provider) == own
    if not is_named and not has_key(keys) and not _is_named_by_fallback(drafts, own):
        return
    if own.name == "kimi-coding" and isinstance(where, OfPreset):
        plan = [key for key in keys if _begins(key, _KIMI)]
        keys = [key for key in keys if key not in plan]
        if plan:
            draft = Draft("kimi-coding", OfPreset("kimi-coding"), plan, _FOUND_AT, is_open=True)
            if not has_key(keys):
                draft.names = {own.name}
            drafts.all.append(draft)
        if plan and not has_key(keys):
            return
    is_given = isinstance(where, OwnUrl) and where.url != own.url
    if preset is None and not is_given and (own.keys_elsewhere or not own.url):
        drafts.builder.refuse(f"hermes's provider '{own.name}'", _SIGN_IN, keys, url=own.url)
        return
    draft = Draft(preset or own.name, where, keys, _FOUND_AT, names={own.name}, is_open=True)
    drafts.all.append(draft)


def place_of(drafts: Drafts, own: BuiltIn) -> Where:
    """Return where a provider of hermes's own is: the URL of its variable or of the block `model:`, else its
    usual one."""
    home = drafts.home
    given, block, mode = home.base_urls.get(own.url_env, ""), "", ""
    if home.own(home.provider) == own:
        block, mode = home.url, str(home.block.get("api_mode") or "")
    preset = preset_for("hermes", own.name)
    usual = drafts.where_of(own, "", "")
    if block and not _is_honoured(home.provider, own, block):
        if not (isinstance(usual, OfPreset) and usual.has(block)):
            return Unresolved(f"the block 'model:' gives one, which hermes ignores for '{home.provider}'")
        block = ""
    if drafts.keys.missing(block):
        return Unresolved(drafts.keys.missing(block))
    if given and block and canonical(given) != canonical(block):
        return Unresolved(f"{own.url_env} and the block 'model:' give different ones")
    url = given or block
    dialect = dialect_of(mode) or _DIALECTS.get(own.name) or dialect_of("", url or own.url) or "openai-chat"
    if preset is None and not url:
        return usual
    return drafts.where_of(own, url, dialect)


def _is_honoured(called: str, own: BuiltIn, url: str) -> bool:
    """Return whether hermes takes the URL of the block `model:` for a provider of its own: not under an
    alias, and for Anthropic only one that speaks its API."""
    if called != own.name or own.name in _KEEPS_ITS_URL:
        return False
    return own.name != "anthropic" or own.has_host_of(url) or dialect_of("", url) == "anthropic-messages"


def _is_named_by_fallback(drafts: Drafts, own: BuiltIn) -> bool:
    rows = drafts.home.fallbacks
    return any(drafts.home.own(str(row.get("provider"))) == own and not row.get("base_url") for row in rows)


def _begins(key: FoundKey | NoKey, prefix: str) -> bool:
    if not isinstance(key, FoundKey):
        return False
    value = key.secret or key.seen
    return value is not None and value.starts_with(prefix)
