"""The result of an import: entries for holdfast.toml, fallbacks, and what could not be imported, with the
reason. Keys are references; a value from another program's file is a Secret, and is written only when the
user asks for a copy. `pairing` decides which key may go where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .._files import quoted
from ..config.model_tables import name_of
from ..core.errors import ConfigError
from ..core.identity import ProviderName, can_be_pinned
from ..harness.own_entry import is_own_gateway
from ..providers import presets
from ..values.addresses import is_loopback
from ..values.secret import redact
from . import other_keys
from .addresses import OfPreset, OwnUrl, Unresolved, Where
from .entries import Entry, ImportResult, labelled
from .fields import known
from .keys import FoundKey, KeyReader, NoKey, Pairing
from .names import name_for, unused
from .pairing import Families, Pairs, place_of, refused, with_one_url

_NO_KEY = "no key stands there"
_OURS = ("holdfast", "holdfast-responses", "holdfast-messages")


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A provider of the other program, as it was added: where it is, and the reasons of its texts that are no
    keys."""

    entry: Entry
    where: OwnUrl | OfPreset
    no_keys: tuple[NoKey, ...]


@dataclass
class ResultBuilder:
    """Collects what an importer reads, and makes the result of it (`pairing` says how it is used). An entry
    that we would refuse is left out with the reason, and never imported in part. `honours_base_urls`: the
    program itself looks at variables such as OPENAI_BASE_URL. `unset` are variables that its files name and
    nothing here sets."""

    program: str
    reader: KeyReader = field(default_factory=lambda: KeyReader({}))
    honours_base_urls: bool = False
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unset: set[str] = field(default_factory=set)
    _candidates: dict[ProviderName, _Candidate] = field(default_factory=dict)
    _names: dict[str, ProviderName] = field(default_factory=dict)
    _pairs: Pairs = field(default_factory=Pairs)

    def leave_out(self, what: str, why: str) -> None:
        """Note something that cannot be imported; a key in the place of a name is masked."""
        note = (redact(what, limit=len(what) + 1), redact(why, limit=len(why) + 1))
        if note not in self.left_out:
            self.left_out.append(note)

    def tell_fields(self, table: Mapping[str, object], kind: str, *, at: str) -> None:
        """Note the fields of another program's table, at `at`, that are not carried; `kind` is its row in
        fields.toml."""
        for name, why in known(kind).rest(table):
            self.leave_out(f"{name} of {at}", why)

    def refuse(
        self,
        what: str,
        why: str,
        keys: Iterable[FoundKey | NoKey] = (),
        *,
        url: str = "",
        location: str = "",
    ) -> None:
        """Note a provider that cannot be imported. Its keys have the URL there, "" for an unknown one, and
        are given to no preset."""
        where: Where = Unresolved(why)
        if url:
            where = OwnUrl(url)
        self._note_pairs(_found(keys), where, location or what)
        self.leave_out(what, why)

    def add(
        self,
        called: str,
        where: Where,
        keys: Iterable[FoundKey | NoKey] = (),
        *,
        location: str = "",
        models: Sequence[object] | None = None,
        **fields: object,
    ) -> ProviderName | None:
        """Add one provider; return the name that it gets, or None when it was left out. `fields` are further
        ones of our entry."""
        keys = list(keys)
        shown = called
        if location:
            shown += f" ({location})"
        if isinstance(where, OfPreset) and self.honours_base_urls:
            where = place_of(where, self.families())
        where, owned = with_one_url(where, _found(keys))
        self._note_pairs(owned, where, location or called)
        if isinstance(where, Unresolved):
            step = "holdfast provider add NAME --url URL"
            self.leave_out(
                shown, f"its URL is not known, so neither it nor its key is carried: {where.why}: {step}"
            )
            return None
        if isinstance(where, OwnUrl) and _is_ours(called, where.url, owned):
            self.leave_out(shown, "it is the gateway of Holdfast itself")
            return None
        name = unused(name_for(called, self.program), self._candidates)
        entry = Entry(name, self._fields(called, where, models, fields), labelled(owned), location)
        no_keys = tuple(key for key in keys if isinstance(key, NoKey))
        candidate = _Candidate(_without_auth_where_none_is_meant(entry, no_keys), where, no_keys)
        try:
            candidate.entry.provider()
        except ConfigError as error:
            self.leave_out(shown, "; ".join(problem.what for problem in error.problems) or error.what)
            return None
        if name != called:
            self.leave_out(
                f"the name '{called}'",
                f"it is called '{name}' here: a name has at most 64 of a-z, 0-9, '.', '_' and '-', "
                "is not the name of a kind, and is used once",
            )
        self._candidates[name] = candidate
        self._names.setdefault(called, name)
        return name

    def chosen(self, pin: str) -> str:
        """Return what to say about a model that the other program uses unless told otherwise; `pin` has its
        name of the provider."""
        called, _, model = pin.partition("/")
        name = self._names.get(called, called)
        if name in self._candidates:
            return (
                f"a session chooses its model here: holdfast session pin SESSION {quoted(f'{name}/{model}')}"
            )
        return "its provider was not imported"

    def result(self) -> ImportResult:
        """Return the result, with the keys that may be where they are, and fallbacks only between entries
        that are imported."""
        entries = {entry.name: entry for entry in self._decided()}
        self._tell_other_keys()
        fallbacks = []
        for pin, then in self.fallbacks.items():
            others = [other for other in dict.fromkeys(then) if other != pin]
            kept = tuple(other for other in others if other.partition("/")[0] in entries)
            if kept and pin.partition("/")[0] in entries:
                fallbacks.append((pin, kept))
            for other in others:
                if other not in kept:
                    self.leave_out(f"{other} as a fallback for {pin}", "its provider was not imported")
        return ImportResult(tuple(entries.values()), tuple(fallbacks), tuple(self.left_out))

    def _decided(self) -> Iterator[Entry]:
        """Yield the entries with the keys that may go there; note all others."""
        for candidate in self._candidates.values():
            entry = self._without_misplaced_keys(self._with_paired_keys(candidate))
            before = [key.pairing for key in candidate.entry.keys]
            alone = all(pairing is Pairing.FOUND for pairing in before) or "preset" in entry.fields
            if before and not entry.keys and alone and Pairing.USUAL not in before:
                continue  # each of its keys was left out, and noted
            self._tell_missing_key(entry, candidate)
            yield entry

    def _with_paired_keys(self, candidate: _Candidate) -> Entry:
        entry, where = candidate.entry, candidate.where
        kept: list[FoundKey] = []
        for key in entry.keys:
            why = refused(key, where, self._pairs, self.families())
            if why:
                self.leave_out(f"{_shown(key)} for '{entry.name}'", why)
            else:
                kept.append(key)
        return replace(entry, keys=tuple(kept))

    def _tell_missing_key(self, entry: Entry, candidate: _Candidate) -> None:
        """Note why texts in the place of keys are none, and that a provider which needs a key has none."""
        takes_none = all(endpoint.auth == "none" for endpoint in entry.provider().endpoints)
        reasons = [no_key.why for no_key in candidate.no_keys if no_key.why]
        if not reasons and not candidate.entry.keys:
            reasons = [_NO_KEY]
        if takes_none:
            return
        step = f": holdfast key add {entry.name} --from env:VARIABLE"
        if entry.keys:
            step = ""
        for why in reasons:
            self.leave_out(f"the key of '{entry.name}'", f"{why}{step}")

    def _tell_other_keys(self) -> None:
        """Note the keys in variables of the program's own files that no provider has, and no note names."""
        noted = {what.partition(" ")[0] for what, _ in self.left_out}
        keys = [key for candidate in self._candidates.values() for key in candidate.entry.keys]
        kept = {identity for key in keys for identity in key.identities}
        at_preset = {
            candidate.where.name: name
            for name, candidate in self._candidates.items()
            if isinstance(candidate.where, OfPreset)
        }
        for name in other_keys.in_files(self.reader, self.families()):
            key = self.reader.variable(name)
            used = isinstance(key, FoundKey) and (self._pairs.has(key) or not kept.isdisjoint(key.identities))
            if used or name in noted:
                continue
            if isinstance(key, NoKey):
                self.leave_out(f"{name} ({self.reader.set_at})", key.why)
                continue
            step = other_keys.command_for(name, self.families(), at_preset, self._candidates)
            why = f"no provider that is imported has it: {step}   (export it first)"
            self.leave_out(f"{name} ({self.reader.set_at})", why)

    def _note_pairs(self, keys: Iterable[FoundKey], where: Where, location: str) -> None:
        for key in keys:
            self._pairs.note(key, where, location)

    def families(self) -> Families:
        """Return the variables that give base URLs. Where the file's own wins, the environment's does not
        count."""
        environ, own = self.reader.environ, self.reader.set_by
        if self.reader.own_first:
            environ = {name: value for name, value in environ.items() if name not in own}
        return Families(environ, own, self.reader.set_at, frozenset(self.unset))

    def _fields(
        self,
        called: str,
        where: OwnUrl | OfPreset,
        models: Sequence[object] | None,
        more: Mapping[str, object],
    ) -> dict[str, object]:
        fields = {**where.fields(), "models": self._pinnable(called, models), **more}
        return {name: value for name, value in fields.items() if value not in (None, "", ())}

    def _pinnable(self, called: str, models: Sequence[object] | None) -> object:
        """Return the models (names, or tables of config/model_tables) whose names can be part of a pin, each
        once; note each of the others."""
        pinnable: dict[str, object] = {}
        for model in models or ():
            name = name_of(model)
            if can_be_pinned(name):
                if not isinstance(pinnable.get(name), Mapping):
                    pinnable[name] = model
                continue
            self.leave_out(
                f"a model of '{called}' ({name[:40]!a})",
                "its name is empty, begins or ends with a space, or cannot be printed",
            )
        return list(pinnable.values()) or None

    def _without_misplaced_keys(self, entry: Entry) -> Entry:
        """Return the entry without the keys that would go to a host of another preset than theirs; note each.

        A key whose address the other program's files give stays, unless it certainly is another provider's.
        Raises ConfigError."""
        endpoints = entry.provider().endpoints
        kept: list[FoundKey] = []
        for key in entry.keys:
            value = key.secret or key.seen
            wrong = None
            if value is not None and not key.url:
                wrong = presets.misplaced(value.starts_with, endpoints)
            if wrong is None or ("url" in entry.fields and not wrong.owners):
                kept.append(key)
            else:
                self.leave_out(f"{_shown(key)} for '{entry.name}'", f"{wrong.what}: {wrong.command(key.ref)}")
        return replace(entry, keys=tuple(kept))


def _is_ours(called: str, url: str, keys: Iterable[FoundKey]) -> bool:
    """Return whether a provider of another program is our own gateway, as `holdfast connect` writes it."""
    if called.lower() in _OURS and is_loopback(url):
        return True
    return any(is_own_gateway(url, text) for key in keys for text in (key.ref, key.secret, key.seen) if text)


def _found(keys: Iterable[FoundKey | NoKey]) -> list[FoundKey]:
    return [key for key in keys if isinstance(key, FoundKey)]


def _shown(key: FoundKey) -> str:
    return key.ref.removeprefix("env:") or f"key '{key.label}'"


def _without_auth_where_none_is_meant(entry: Entry, no_keys: Sequence[NoKey]) -> Entry:
    """Return the entry with `auth = "none"` at an address of this machine without a key: other programs write
    a placeholder there."""
    meant = all(no_key.placeholder or not no_key.why for no_key in no_keys)
    if entry.keys or not meant or not is_loopback(str(entry.fields.get("url", "https:"))):
        return entry
    return replace(entry, fields={**entry.fields, "auth": "none"})
