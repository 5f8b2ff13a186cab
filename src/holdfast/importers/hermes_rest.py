"""What a Hermes home says that has no place in holdfast.toml, item by item. Its keys stay with their URLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..values.secret import redact
from .hermes_drafts import Drafts, refuse
from .hermes_entries import normal, snake_case
from .hermes_home import HermesHome
from .hermes_resume import is_local_kind
from .keys import FoundKey
from .read_files import mapping, word

_READ = ("model", "providers", "custom_providers", "fallback_providers", "fallback_model")
_CHAINS = ("fallback_providers", "fallback_model")


def tell_rest(drafts: Drafts) -> None:
    """Tell what is not carried."""
    home, builder = drafts.home, drafts.builder
    for ignored in home.ignored:
        refuse(builder, ignored)
    builder.tell_fields(home.block, "hermes.model", at="the block 'model:'")
    if home.model and home.provider:
        builder.leave_out(
            f"the default model '{redact(home.model)}'",
            "Holdfast has none: a session names its provider and model",
        )
    _tell_block_key(drafts)
    for name in _CHAINS:
        if isinstance(home.config.get(name), str) and word(home.config.get(name)):
            builder.leave_out(name, "it is a text and not a list, so hermes ignores it")
    for at, table in _tables(home.config):
        row = snake_case(table)
        keys = drafts.keys.keys_of(row, at)
        url = word(row.get("base_url"))
        is_chosen = word(row.get("model")) and normal(word(row.get("provider"))) not in ("", "auto")
        if url or is_chosen or any(isinstance(key, FoundKey) for key in keys):
            builder.refuse(at, "a model for one kind of work of hermes: it has no place here", keys, url=url)


def _tell_block_key(drafts: Drafts) -> None:
    """Tell the keys in the block `model:` that hermes does not use: of a provider that has its own, of one
    that is not known here, and those named by `key_env`."""
    home, builder = drafts.home, drafts.builder
    own, entry = home.own(home.provider), home.named(home.provider)
    url = home.url
    if not url and own is not None:
        url = own.url
    if not url and entry is not None:
        url = entry.url
    missing = drafts.keys.missing(
        *(str(home.block.get(name)) for name in ("provider", "base_url", "default"))
    )
    if missing:
        builder.refuse("the block 'model:'", missing, home.default_keys)
    elif any(isinstance(key, FoundKey) for key in home.default_keys) and (own or entry):
        why = f"hermes does not use it for '{home.provider}'"
        builder.refuse("the key in the block 'model:'", why, home.default_keys, url=url)
    elif own is None and entry is None and not _is_provider_by_itself(home):
        why = f"hermes knows no provider '{redact(home.provider)}'"
        if is_local_kind(home.provider or "custom"):
            why = "it has no URL"
        if home.provider or any(isinstance(key, FoundKey) for key in home.default_keys):
            builder.refuse("the block 'model:'", why, home.default_keys, url=url)
    variable = drafts.keys.reader.variable(word(home.block.get("key_env")))
    if isinstance(variable, FoundKey):
        why = "hermes reads it for Azure only: name the variable in an entry, or run holdfast key add"
        builder.refuse("key_env of the block 'model:'", why, [variable], url=url)


def _is_provider_by_itself(home: HermesHome) -> bool:
    """Return whether the block `model:` has a URL and a kind, and so has become a provider."""
    called = home.provider or "custom"
    return bool(home.url) and (called == "auto" or is_local_kind(called))


def _tables(
    config: Mapping[str, Any], at: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables that may name a provider of their own, with their places."""
    for name, value in config.items():
        if (depth == 0 and name in _READ) or not isinstance(value, Mapping):
            continue
        here = f"{at}.{name}".lstrip(".")
        yield here, mapping(value)
        if depth < 2:
            yield from _tables(mapping(value), here, depth + 1)
