"""The result of an import: entries for holdfast.toml, fallbacks, and what could not be imported, with the
reason. Keys are references; a value from another program's file is a Secret, and is written only when the
user asks for a copy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..config.model_tables import name_of
from ..config.parse import parse
from ..core.addresses import is_loopback
from ..core.errors import ConfigError
from ..core.identity import Provider, ProviderName, can_be_pinned
from ..core.secret import Secret
from ..providers import presets
from .names import first_free, name_for, unused

DIALECTS: Mapping[str, str] = {
    "chat": "openai-chat",
    "openai-completions": "openai-chat",
    "chat_completions": "openai-chat",
    "openai": "openai-chat",
    "responses": "openai-responses",
    "openai-responses": "openai-responses",
    "codex_responses": "openai-responses",
    "anthropic-messages": "anthropic-messages",
    "anthropic_messages": "anthropic-messages",
    "anthropic": "anthropic-messages",
}
"""Names that other programs give to the dialects that we speak."""
_CALLS = {
    "openai-chat": ("/chat/completions",),
    "openai-responses": ("/responses",),
    "anthropic-messages": ("/messages", "/v1"),
}
"""Ends of a URL, by dialect, that our base URLs do without."""
_PLACEHOLDER = re.compile(
    r"\**|(?i:change[_-]?me|your[_-]?(?:api[_-]?)?key(?:[_-]here)?|placeholder|example|dummy|fake|null|none"
    r"|empty|x+|no[_-]?key.*|not[_-]needed|sk-no-key.*|ollama|lm[_-]?studio|vllm|llama[._-]?cpp|local)"
)
_SHORTEST_KEY = 4  # characters
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key of another program's entry: the reference by which we could read it too, or its value, or both (a
    variable that only their file sets). `location` says where the value was read. `seen` is the value that
    the reference has now, kept only to look at its first characters."""

    ref: str = ""
    secret: Secret | None = None
    label: str = "imported"
    location: str = ""
    seen: Secret | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate for `[provider.NAME]`: its fields, its keys, and its location in the other program's
    files."""

    name: ProviderName
    fields: Mapping[str, object]
    keys: tuple[FoundKey, ...] = ()
    location: str = ""

    def table(self, *, copied: bool) -> dict[str, object]:
        """Return the fields with the keys' references; with `copied`, as they are once we keep its values."""
        refs: list[str] = []
        for key in self.keys:
            if copied and key.secret is not None:
                refs.append(f"store:{key.label}")
            elif key.ref:
                refs.append(key.ref)
        table = dict(self.fields)
        if refs:
            table["keys"] = list(dict.fromkeys(refs))
        return table

    def provider(self) -> Provider:
        """Return the provider that the entry defines. Raises ConfigError with what is wrong with it."""
        config = parse(
            {"provider": {self.name: self.table(copied=True)}}, presets=presets.find, locate=lambda _: ""
        )
        return config.providers[self.name]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import. `fallbacks` are pins as text, each with its fallbacks in that program;
    `left_out` are pairs of what and why."""

    entries: tuple[Entry, ...] = ()
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass
class ResultBuilder:
    """Collects the result of an import. An entry that we would refuse is left out with the reason, and never
    imported in part."""

    program: str
    entries: dict[ProviderName, Entry] = field(default_factory=dict)
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, what: str, why: str) -> None:
        """Note something that cannot be imported."""
        self.left_out.append((what, why))

    def add(
        self, called: str, fields: Mapping[str, object], keys: Iterable[FoundKey] = (), location: str = ""
    ) -> ProviderName | None:
        """Add one entry; return the name that it got, or None when it was left out."""
        name = unused(name_for(called, self.program), self.entries)
        given = {**fields, "models": self._pinnable(called, fields.get("models"))}
        usable = {key: value for key, value in given.items() if value not in (None, "")}
        labelled = _labelled(keys)
        if not labelled and is_loopback(str(usable.get("url", "https:"))):
            usable["auth"] = "none"  # other programs write a placeholder as the key here
        entry = Entry(name, usable, labelled, location)
        try:
            entry = self._without_misplaced_keys(entry)
        except ConfigError as error:
            why = "; ".join(problem.what for problem in error.problems) or error.what
            what = called
            if location:
                what += f" ({location})"
            self.leave_out(what, why)
            return None
        if labelled and not entry.keys and "preset" in usable:
            return None  # each of its keys was left out, and noted
        if name != called:
            self.leave_out(
                f"the name '{called}'",
                f"it is called '{name}' here: a name has at most 64 of a-z, 0-9, '.', '_' and '-', "
                "is not the name of a kind, and is used once",
            )
        self.entries[name] = entry
        return name

    def result(self) -> ImportResult:
        """Return the result, with fallbacks only between entries that are imported."""
        fallbacks = []
        for pin, then in self.fallbacks.items():
            others = [other for other in dict.fromkeys(then) if other != pin]
            kept = tuple(other for other in others if self._is_imported(other))
            if kept and self._is_imported(pin):
                fallbacks.append((pin, kept))
            for other in others:
                if other not in kept:
                    self.leave_out(f"{other} as a fallback for {pin}", "its provider was not imported")
        return ImportResult(tuple(self.entries.values()), tuple(fallbacks), tuple(self.left_out))

    def _is_imported(self, pin: str) -> bool:
        return pin.partition("/")[0] in self.entries

    def _pinnable(self, called: str, models: object) -> object:
        """Return the models whose names can be part of a pin; note each of the others."""
        if not isinstance(models, list | tuple):
            return models
        pinnable = [model for model in models if can_be_pinned(name_of(model))]
        for _ in range(len(models) - len(pinnable)):
            self.leave_out(
                f"a model of '{called}'",
                "its name is empty, begins or ends with a space, or cannot be printed",
            )
        return pinnable or None

    def _without_misplaced_keys(self, entry: Entry) -> Entry:
        """Return the entry without the keys that would go to a host of another preset than theirs; note each.

        A key whose address the other program's files give stays, unless it certainly is another provider's.
        Raises ConfigError."""
        endpoints = entry.provider().endpoints
        kept: list[FoundKey] = []
        for key in entry.keys:
            value = key.secret or key.seen
            wrong = None
            if value is not None:
                wrong = presets.misplaced(value.starts_with, endpoints)
            if wrong is None or ("url" in entry.fields and not wrong.owners):
                kept.append(key)
            else:
                what = key.ref.removeprefix("env:") or f"key '{key.label}'"
                self.leave_out(f"{what} for '{entry.name}'", f"{wrong.what}: {wrong.command(key.ref)}")
        return replace(entry, keys=tuple(kept))


def key_list(key: FoundKey | None) -> list[FoundKey]:
    """Return the key as a list, empty for None."""
    if key is None:
        return []
    return [key]


def literal(value: str, location: str, label: str = "imported") -> FoundKey | None:
    """Return the key whose value is in a file; None for a placeholder and for text that cannot be a key."""
    text = value.strip()
    if _PLACEHOLDER.fullmatch(text) or len(text) < _SHORTEST_KEY:
        return None
    secret = _secret(value)
    if secret is None:
        return None
    return FoundKey("", secret, label, location)


def variable(
    name: str, environ: Mapping[str, str], set_by: Mapping[str, str] | None = None, location: str = ""
) -> FoundKey | None:
    """Return the key in a variable: of the environment, else of a file (at `location`) that sets it. None for
    what is not a variable's name."""
    if not _VARIABLE.fullmatch(name):
        return None
    key = FoundKey(f"env:{name}", label=name)
    value = environ.get(name, "").strip()
    if value:
        return replace(key, seen=_secret(value))
    in_file = literal((set_by or {}).get(name, ""), location, name)
    if in_file is None:
        return key
    return replace(in_file, ref=key.ref)


def base_of(url: str, dialect: str) -> str:
    """Return a base URL as our endpoints write it: without the call, and for Anthropic's dialect (also taken
    for an unknown one) without the version."""
    url = url.strip().rstrip("/")
    for tail in _CALLS.get(dialect, _CALLS["anthropic-messages"]):
        url = url.removesuffix(tail).rstrip("/")
    return url


def address(url: str, dialect: str, **more: Any) -> dict[str, Any]:
    """Return the fields of an entry at a URL, without those that have their usual value. Anthropic's SDK,
    which these programs use, sends its key as x-api-key, unless a preset says otherwise for this very URL."""
    base = base_of(url, dialect)
    fields: dict[str, Any] = {"url": base}
    if dialect != "openai-chat":
        fields["dialect"] = str(dialect)
    if dialect == "anthropic-messages":
        known = (row for row in presets.rows().values() if row["endpoints"].get(dialect) == base)
        auth = next((row.get("auth", "bearer") for row in known), "x-api-key")
        if auth != "bearer":
            fields["auth"] = auth
    return {**fields, **more}


def url_or_preset(url: str, dialect: str, preset: str | None) -> dict[str, Any]:
    """Return the fields of an entry at its own URL, else those of a preset."""
    if url:
        return address(url, dialect)
    return {"preset": preset}


def _labelled(keys: Iterable[FoundKey]) -> tuple[FoundKey, ...]:
    """Return the usable keys under labels that are all different and can be part of a reference."""
    labelled: dict[str, FoundKey] = {}
    for key in keys:
        if not key.ref and key.secret is None:
            continue
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key.label).strip("-._")[:40] or "imported"
        label = first_free(plain, labelled)
        labelled[label] = replace(key, label=label)
    return tuple(labelled.values())


def _secret(value: str) -> Secret | None:
    try:
        return Secret(value)
    except ValueError:
        return None
