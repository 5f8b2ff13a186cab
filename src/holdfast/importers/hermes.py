"""`holdfast import hermes`: the entries of config.yaml, the block `model:`, fallbacks with URLs of their own,
the providers whose keys .env and auth.json hold, and the fallback chain of the default model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..values.secret import redact
from .base import ResultBuilder
from .entries import ImportResult
from .hermes_drafts import Draft, Drafts
from .hermes_home import HermesHome, default_path, read_home
from .hermes_known import add_known
from .hermes_rest import tell_rest
from .read_files import word


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return the result for the Hermes home at `path`. Raises ConfigError when it cannot be read."""
    return gather(read_home(path or default_path(environ), environ))


def gather(home: HermesHome) -> ImportResult:
    """Return the result for a Hermes home that was read before."""
    builder = ResultBuilder("hermes", home.reader, honours_base_urls=True)
    drafts = Drafts(home, builder)
    for entry in home.entries:
        drafts.add_entry(entry)
    drafts.add_block()
    chain: dict[int, Draft | None] = {}
    for is_own in (False, True):  # a provider of hermes's own has its name before a fallback with another key
        if is_own:
            add_known(drafts, [word(row.get("provider")) for row in home.fallbacks])
        for position, row in enumerate(home.fallbacks):
            if (home.own(word(row.get("provider"))) is not None) == is_own:
                chain[position] = drafts.of_fallback(position, row)
    tell_rest(drafts)
    names = {id(draft): _add(builder, draft) for draft in drafts.all}
    _add_chain(drafts, chain, names)
    return builder.result()


def _add(builder: ResultBuilder, draft: Draft) -> str:
    """Add one provider to the result; return its name here, "" when it was left out."""
    name = builder.add(
        draft.called,
        draft.where,
        draft.keys,
        location=draft.location,
        models=list(draft.models.values()),
        **draft.fields,
    )
    return name or ""


def _add_chain(drafts: Drafts, chain: Mapping[int, Draft | None], names: Mapping[int, str]) -> None:
    """Add the fallbacks of the default model, those whose provider was imported."""
    home, builder = drafts.home, drafts.builder
    if not chain:
        return
    owner = drafts.meant(home.provider, home.url)
    name = names.get(id(owner), "")
    if not name or not home.model:
        builder.leave_out(
            "the fallback chain",
            "the provider of the default model was not imported: write [fallback] in holdfast.toml",
        )
        return
    pins = []
    for position, row in enumerate(home.fallbacks):
        here = names.get(id(chain[position]), "")
        if here:
            pins.append(f"{here}/{word(row.get('model'))}")
        else:
            builder.leave_out(f"fallback '{_shown(row)}'", "its provider was not imported")
    builder.fallbacks[f"{name}/{home.model}"] = tuple(pins)


def _shown(row: Mapping[str, object]) -> str:
    return redact(f"{word(row.get('provider'))}/{word(row.get('model'))}")
