"""What an importer finds: entries that could stand in holdfast.toml, ladders, and what it could not carry,
with the reason. Keys are references; a value that stood in somebody's file is held as a Secret and goes
nowhere unless the user says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ..config.parse import parse
from ..core.errors import ConfigError
from ..core.identity import KINDS, Provider, ProviderName, can_be_pinned, is_loopback
from ..core.secret import Secret
from ..providers import presets

DIALECTS: Mapping[str, str] = {
    "chat": "openai-chat", "openai-completions": "openai-chat", "chat_completions": "openai-chat", "openai": "openai-chat",
    "responses": "openai-responses", "openai-responses": "openai-responses", "codex_responses": "openai-responses",
    "anthropic-messages": "anthropic-messages", "anthropic_messages": "anthropic-messages", "anthropic": "anthropic-messages",
}  # fmt: skip
"""How other programs name the dialects that we speak."""
_PLACEHOLDER = re.compile(
    r"\**|(?i:change[_-]?me|your[_-]?(?:api[_-]?)?key(?:[_-]here)?|placeholder|example|dummy|fake|null|none|empty|x+|no[_-]?key.*|not[_-]needed|sk-no-key.*"
    r"|ollama|lm[_-]?studio|vllm|llama[._-]?cpp|local)"
)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key of somebody's entry: the reference by which we could read it too, or its value, or both (a
    variable that only their file sets). `place` says where the value stands. `seen` is the value that the
    reference has now, only to look at how it begins."""

    ref: str = ""
    secret: Secret | None = None
    label: str = "imported"
    place: str = ""
    seen: Secret | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What could stand as `[provider.NAME]`: its fields, its keys, and where it stood."""

    name: ProviderName
    fields: Mapping[str, object]
    keys: tuple[FoundKey, ...] = ()
    place: str = ""

    def table(self, *, copied: bool) -> dict[str, object]:
        """The entry with its references; with `copied` as it stands once its values are kept by us."""
        refs = [f"store:{key.label}" if copied and key.secret is not None else key.ref for key in self.keys]
        refs = list(dict.fromkeys(ref for ref in refs if ref))
        return {**self.fields, **({"keys": refs} if refs else {})}

    def provider(self) -> Provider:
        """The value that the entry makes. Raises ConfigError with what is wrong with it."""
        config = parse(
            {"provider": {self.name: self.table(copied=True)}}, presets=presets.find, place=lambda _: ""
        )
        return config.providers[self.name]


@dataclass(frozen=True, slots=True)
class Found:
    """All that one import found. `ladders` are pins as text, with those that stood in for them there."""

    entries: tuple[Entry, ...] = ()
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass
class Gathering:
    """What an importer has found so far. An entry that we would refuse is left out with the reason and not
    half carried."""

    program: str
    entries: dict[ProviderName, Entry] = field(default_factory=dict)
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        """Something could not be carried."""
        self.left_out.append((what, why))

    def add(
        self, called: str, fields: Mapping[str, object], keys: Iterable[FoundKey] = (), place: str = ""
    ) -> ProviderName | None:
        """One entry; gives the name it got, or None when it was left out."""
        name = unused(name_for(called, self.program), self.entries)
        models = fields.get("models")
        if isinstance(models, list | tuple):
            strange = sum(not can_be_pinned(one) for one in models)
            self.left_out += [
                (f"a model of '{called}'", "its name is empty, padded or cannot be printed")
            ] * strange
            fields = {**fields, "models": [one for one in models if can_be_pinned(one)] or None}
        fields = {key: value for key, value in fields.items() if value not in (None, "")}
        held = _labelled(keys)
        if not held and is_loopback(str(fields.get("url", "https:"))):
            fields["auth"] = "none"  # what these programs fill with a placeholder, we say
        entry = Entry(name, fields, held, place)
        try:
            entry = self._in_their_place(entry)
        except ConfigError as error:
            why = "; ".join(problem.what for problem in error.problems) or error.what
            self.leave(f"{called} ({place})" if place else called, why)
            return None
        if held and not entry.keys and "preset" in fields:
            return None  # nothing of it is left: its keys were told
        if name != called:
            self.leave(
                f"the name '{called}'",
                f"it is called '{name}' here: a name is up to 64 of a-z, 0-9, '.', '_' and '-', no kind, and its own",
            )
        self.entries[name] = entry
        return name

    def _in_their_place(self, entry: Entry) -> Entry:
        """Return the entry without the keys that would go to a host of another preset than theirs; each is
        told. A key whose address the other program's files give stays, unless it is certain that it is
        another's. Raises ConfigError."""
        places, kept = entry.provider().endpoints, []
        for key in entry.keys:
            value = key.secret or key.seen
            wrong = presets.misplaced(value.starts_with, places) if value is not None else None
            if wrong is None or ("url" in entry.fields and not wrong.owners):
                kept.append(key)
            else:
                what = key.ref.removeprefix("env:") or f"key '{key.label}'"
                self.leave(f"{what} for '{entry.name}'", f"{wrong.what}: {wrong.command(key.ref)}")
        return replace(entry, keys=tuple(kept))

    def found(self) -> Found:
        """What was gathered; ladders only between entries that were carried."""
        known = self.entries
        fallbacks = []
        for pin, then in self.fallbacks.items():
            kept = tuple(one for one in dict.fromkeys(then) if one != pin and one.partition("/")[0] in known)
            if pin.partition("/")[0] in known and kept:
                fallbacks.append((pin, kept))
            for one in then:
                if one not in kept and one != pin:
                    self.leave(f"{one} as fallback for {pin}", "its provider was not carried")
        return Found(tuple(known.values()), tuple(fallbacks), tuple(self.left_out))


def _labelled(keys: Iterable[FoundKey]) -> tuple[FoundKey, ...]:
    """The keys, those with a value under labels that are all different and can stand in a reference."""
    found: list[FoundKey] = []
    for key in keys:
        label = re.sub(r"[^A-Za-z0-9._-]+", "-", key.label).strip("-._")[:40] or "imported"
        taken = {one.label for one in found}
        label = next(
            one for one in (label, *(f"{label}-{number}" for number in range(2, 10_000))) if one not in taken
        )
        if key.ref or key.secret is not None:
            found.append(replace(key, label=label))
    return tuple(found)


def name_for(called: str, program: str) -> ProviderName:
    """A provider's name as near to what the other program calls it as ours may be."""
    name = re.sub(r"[^a-z0-9._-]+", "-", called.strip().lower()).strip("-._")[:56] or program
    return ProviderName(f"{program}-{name}" if name in KINDS else name)


def unused(name: ProviderName, taken: Iterable[str]) -> ProviderName:
    """`name`, or with the first number that makes it nobody else's."""
    taken = set(taken)
    return next(
        ProviderName(one)
        for one in (name, *(f"{name}-{number}" for number in range(2, 10_000)))
        if one not in taken
    )


def literal(value: str, place: str, label: str = "imported") -> FoundKey | None:
    """A key whose value stands in somebody's file; None for a placeholder or what cannot be a key."""
    if _PLACEHOLDER.fullmatch(value.strip()) or len(value.strip()) < 4:
        return None
    try:
        return FoundKey("", Secret(value), label, place)
    except ValueError:
        return None


def variable(
    name: str, environ: Mapping[str, str], set_by: Mapping[str, str] | None = None, place: str = ""
) -> FoundKey | None:
    """A key that stands in a variable: of the environment, else of a file of theirs that sets it. None for
    what is no variable."""
    if not _VARIABLE.fullmatch(name):
        return None
    value = environ.get(name, "").strip()
    if value:
        return FoundKey(f"env:{name}", label=name, seen=_secret(value))
    here = literal((set_by or {}).get(name, ""), place, name)
    return FoundKey(f"env:{name}", label=name) if here is None else replace(here, ref=f"env:{name}")


def _secret(value: str) -> Secret | None:
    try:
        return Secret(value)
    except ValueError:
        return None


@cache
def _names() -> Mapping[str, Mapping[str, str]]:
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.importers").joinpath("names.toml").read_text("utf-8"))


def own_names(program: str) -> frozenset[str]:
    """The providers that `program` knows by itself."""
    return frozenset(_names()["own"].get(program, "").split())


def preset_for(program: str, called: str) -> str | None:
    """The preset that `program` means by a name of its own table; None when we have none."""
    name = _names().get(program, {}).get(called, called)
    return name if name in presets.rows() else None


def base_of(url: str, dialect: str) -> str:
    """A base URL as our endpoints write it: without the call, and for Anthropic's dialect without the
    version."""
    url = url.strip().rstrip("/")
    for tail in {"openai-chat": ("/chat/completions",), "openai-responses": ("/responses",)}.get(
        dialect, ("/messages", "/v1")
    ):
        url = url.removesuffix(tail).rstrip("/")
    return url


def address(url: str, dialect: str, **more: Any) -> dict[str, Any]:
    """The fields of an entry at a URL; what is usual is not written. Anthropic's SDK, which these programs
    use, shows its key as x-api-key, unless a preset knows better for the very URL."""
    base = base_of(url, dialect)
    fields = {"url": base, **({"dialect": str(dialect)} if dialect != "openai-chat" else {})}
    if dialect == "anthropic-messages":
        known = (row for row in presets.rows().values() if row["endpoints"].get(dialect) == base)
        auth = next((row.get("auth", "bearer") for row in known), "x-api-key")
        fields |= {"auth": auth} if auth != "bearer" else {}
    return {**fields, **more}
