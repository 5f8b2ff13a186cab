"""The providers of a Hermes home as it is imported: where each is, its keys, its models, and which names of
Hermes mean it. Two rows that send the same key to the same URL are one provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config.model_tables import written
from ..values.secret import redact
from . import headers
from .addresses import OfPreset, OwnUrl, Unresolved, Where, canonical
from .base import ResultBuilder
from .hermes_builtin import BuiltIn, host_of
from .hermes_entries import ANY_MODEL, RESPONSES_HOSTS, HermesEntry, Ignored, dialect_of, normal
from .hermes_home import HermesHome
from .hermes_keys import HomeKeys, has_key
from .hermes_resume import is_local_kind
from .keys import FoundKey, NoKey, command_key
from .names import preset_for
from .read_files import mapping, word, words


@dataclass
class Draft:
    """A provider to be added. `names` are those by which hermes means it; without `is_open`, its models are
    listed, and only those can be pinned."""

    called: str
    where: Where
    keys: list[FoundKey | NoKey]
    location: str
    models: dict[str, object] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    is_open: bool = False
    fields: dict[str, object] = field(default_factory=dict)

    def allow(self, model: str) -> None:
        """Let a model be pinned that the files use with this provider."""
        if model and "${" not in model and not self.is_open:
            self.models.setdefault(model, model)


class Drafts:
    """Collects the providers of a home, in the order in which they are added to the result."""

    def __init__(self, home: HermesHome, builder: ResultBuilder) -> None:
        self.home = home
        self.builder = builder
        self.keys = HomeKeys(home, builder)
        self.all: list[Draft] = []

    def meant(self, called: str, url: str = "") -> Draft | None:
        """Return the provider that hermes means by a name, else the one that it takes for a bare URL."""
        name = normal(called) or "custom"
        entry = self.home.named(name)
        own = self.home.own(name)
        if entry is not None:
            name = f"custom:{entry.name}"
        elif own is not None:
            name = own.name
        match = next((draft for draft in self.all if name in draft.names), None)
        if match is None and entry is None and own is None:
            first = self.home.first_at(url)
            match = next(
                (draft for draft in self.all if first and f"custom:{first.name}" in draft.names), None
            )
        return match

    def add_entry(self, entry: HermesEntry) -> None:
        """Add a named entry."""
        at = f"'{entry.name}' ({entry.location})"
        raw = entry.raw
        self.builder.tell_fields(raw, "hermes.entry", at=at)
        keys: list[FoundKey | NoKey] = [*entry.keys, *entry.no_keys, *self.keys.of_entry(entry)]
        extra = mapping(raw.get("extra_headers"))
        auth, in_header = headers.key_in(extra, lambda text: self.keys.read(text, entry.name))
        if not has_key(keys):
            keys = [in_header, *keys]
        if not has_key(keys) and word(raw.get("key_cmd")):
            keys = [command_key(word(raw.get("key_cmd")))]
        if not has_key(keys):
            keys.append(self.keys.by_host(entry.url))
        holds_the_key = bool(auth) and in_header in keys
        if not (holds_the_key and isinstance(in_header, FoundKey)):
            auth = ""
        draft = Draft(entry.name, OwnUrl(entry.url, entry.dialect, auth), keys, entry.location)
        draft.names = set(entry.called)
        draft.fields["headers"] = headers.carried(self.builder, extra, at=at, hold_the_key=holds_the_key)
        draft.models = _models(entry)
        draft.is_open = not draft.models or ANY_MODEL in words(raw.get("models"))
        if ANY_MODEL in words(raw.get("models")):
            draft.models = {}
            self.builder.leave_out(f"the model '*' of {at}", "no list of models means the same here")
        if self.home.named(self.home.provider) == entry:
            draft.allow(self.home.model)
        self.all.append(draft)

    def _of_entry(self, entry: HermesEntry) -> Draft:
        return next(draft for draft in self.all if f"custom:{entry.name}" in draft.names)

    def add_block(self) -> None:
        """Add the block `model:` where it is a provider by itself: a kind and a URL that no entry has."""
        home = self.home
        called = home.provider or "custom"
        if not home.url or home.named(called) is not None:
            return
        if not (is_local_kind(called) or called == "auto"):
            return
        entry = home.first_at(home.url)
        if entry is not None:
            draft = self._of_entry(entry)
            draft.keys += [key for key in home.default_keys if isinstance(key, FoundKey)]
            draft.allow(home.model)
            return
        if called == "auto":
            called = "custom"
        mode = word(home.block.get("api_mode"))
        if mode == "codex_responses" and host_of(home.url) not in RESPONSES_HOSTS:
            mode = ""  # hermes takes it for a remnant of another provider
        dialect = dialect_of(mode, home.url) or "openai-chat"
        keys = list(home.default_keys)
        if not has_key(keys):
            keys.append(self.keys.by_host(home.url))
        where: Where = OwnUrl(home.url, dialect)
        if self.keys.missing(home.url):
            where = Unresolved(self.keys.missing(home.url))
        draft = Draft(called, where, keys, "model", names={"custom", called})
        draft.allow(home.model)
        self.all.append(draft)

    def of_fallback(self, position: int, row: Mapping[str, Any]) -> Draft | None:
        """Return the provider of a row of the fallback chain: an entry, one of hermes's own, or a new one for
        a URL or a key of the row's own. None where it is not known."""
        called, model, url = (
            normal(word(row.get("provider"))),
            word(row.get("model")),
            word(row.get("base_url")),
        )
        at = f"fallback {position + 1}"
        self.builder.tell_fields(row, "hermes.fallback", at=at)
        entry, own = self.home.named(called), self.home.own(called)
        keys = self.keys.keys_of(row, called)
        missing = self.keys.missing(*(word(row.get(name)) for name in ("provider", "model", "base_url")))
        if missing:
            self.builder.refuse(at, missing, keys)
            return None
        if entry is not None:
            draft = self._of_entry(entry)
            if url and canonical(url) != canonical(entry.url):
                self.builder.refuse(
                    at, f"it names '{entry.name}' and another URL than that has", keys, url=url
                )
                return None
            draft.allow(model)
            return draft
        if not url and not has_key(keys) and own is not None:
            return self.meant(called)
        if own is None and not is_local_kind(called):
            self.builder.refuse(at, f"hermes knows no provider '{redact(called)}'", keys, url=url)
            return None
        if own is None and not url:
            self.builder.refuse(at, f"it has no URL for the kind '{called}'", keys)
            return None
        return self._at_url(at, row, own, keys)

    def _at_url(
        self, at: str, row: Mapping[str, Any], own: BuiltIn | None, keys: list[FoundKey | NoKey]
    ) -> Draft | None:
        """Return the provider for a fallback with a URL or a key of its own."""
        url, model = word(row.get("base_url")), word(row.get("model"))
        dialect = dialect_of(word(row.get("api_mode")), url) or "openai-chat"
        where: Where = OwnUrl(url, dialect)
        called = host_of(url)
        if own is not None:
            called = preset_for("hermes", own.name) or own.name
            if own.name == "anthropic":
                dialect = "anthropic-messages"
            where = self.where_of(own, url, dialect)
        if not has_key(keys) and own is None:
            keys = [self.keys.by_host(url)]
        same = [draft for draft in self.all if _is_same(draft, where, keys)]
        if len(same) == 1:
            same[0].allow(model)
            return same[0]
        if same:
            self.builder.leave_out(at, "several of your providers have its URL: write [fallback] yourself")
            return None
        draft = Draft(called, where, keys, at)
        if own is None:
            draft.allow(model)
        self.all.append(draft)
        return draft

    def where_of(self, own: BuiltIn, url: str, dialect: str) -> Where:
        """Return where a provider of hermes's own is that has been given a URL, "" for none."""
        preset = preset_for("hermes", own.name)
        if preset is not None:
            usual = OfPreset(preset, dialect)
            if not url or usual.has(url):
                return usual
        return OwnUrl(url or own.url, dialect)


def refuse(builder: ResultBuilder, ignored: Ignored) -> None:
    """Note an entry that hermes does not use; its keys belong where it says."""
    builder.refuse(ignored.what, ignored.why, ignored.keys, url=ignored.url)


def _models(entry: HermesEntry) -> dict[str, object]:
    """Return the models of an entry with the limits that it writes, by their names."""
    listed = entry.raw.get("models")
    tables: dict[str, Mapping[str, Any]] = {}
    if isinstance(listed, Mapping):
        tables = {str(name): mapping(table) for name, table in listed.items()}
    elif isinstance(listed, list):
        rows = [mapping(row) for row in listed]
        tables = {word(row.get("id")) or word(row.get("name")): row for row in rows}
    first = next(iter(entry.models), "")
    models: dict[str, object] = {}
    for name in entry.models:
        if "${" in name:
            continue
        table = dict(tables.get(name, {}))
        if name == first:
            table.setdefault("context_length", entry.raw.get("context_length"))
        output = table.get("max_output_tokens") or table.get("max_tokens")
        output = output or entry.raw.get("max_output_tokens") or entry.raw.get("max_tokens")
        models[name] = written(name, context=table.get("context_length"), output=output)
    return models


def _is_same(draft: Draft, where: Where, keys: Sequence[FoundKey | NoKey]) -> bool:
    """Return whether a provider is at this place and has one of these keys, or none is named."""
    if draft.where != where and not _have_same_url(draft.where, where):
        return False
    wanted = {identity for key in keys if isinstance(key, FoundKey) for identity in key.identities}
    theirs = {identity for key in draft.keys if isinstance(key, FoundKey) for identity in key.identities}
    return not wanted or bool(wanted & theirs)


def _have_same_url(one_place: Where, other: Where) -> bool:
    if not isinstance(one_place, OwnUrl) or not isinstance(other, OwnUrl):
        return False
    return one_place.dialect == other.dialect and canonical(one_place.url) == canonical(other.url)
