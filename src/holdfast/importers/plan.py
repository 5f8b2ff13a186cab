"""The changes that an import would make to holdfast.toml: new entries, those that are there already, and
those whose name the user has for another URL, which are left to the user. Writing keeps the file's comments
and replaces nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from .._files import quoted
from ..config import add_key, add_provider, set_fallback
from ..config.home import Home
from ..config.toml_text import fallbacks_text, provider_text
from ..core.config import Config, near
from ..core.errors import ConfigError, HoldfastError
from ..core.identity import Pin, Provider
from .entries import Entry, ImportResult
from .keys import FoundKey

_COMMAND = "cmd:"

Fallbacks = tuple[str, tuple[str, ...]]
"""A pin and its fallbacks, as text."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The entries to write and the rest. With `copied`, we keep the values of keys. `refused` and `notes` are
    pairs of what and why."""

    new: tuple[Entry, ...]
    present: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    fallbacks: tuple[Fallbacks, ...]
    notes: tuple[tuple[str, str], ...]
    copied: bool

    def text(self) -> str:
        """Return the TOML that would be written."""
        entries = [provider_text(entry.name, entry.table(copied=self.copied)) for entry in self.new]
        if self.fallbacks:
            entries.append(fallbacks_text(self.fallbacks))
        return "\n".join(entries)

    def commands(self) -> list[tuple[str, str]]:
        """Return the commands that reading the new entries' keys would run, as (entry, command)."""
        keys = [(entry.name, key) for entry in self.new for key in entry.keys]
        refs = [(name, key.ref) for name, key in keys if not (self.copied and key.secret is not None)]
        return [(name, ref.removeprefix(_COMMAND)) for name, ref in refs if (ref or "").startswith(_COMMAND)]


def plan(result: ImportResult, config: Config, only: Collection[str] = (), *, copied: bool = False) -> Plan:
    """Return what would be done with the result of an import, or with the entries `only` of it. Raises
    ConfigError when one of these was not found."""
    _refuse_unknown(only, [entry.name for entry in result.entries])
    new: list[Entry] = []
    present: list[str] = []
    refused: dict[str, str] = {}
    notes: list[tuple[str, str]] = []
    if not only:
        notes += result.left_out
    for entry in result.entries:
        if only and entry.name not in only:
            continue
        ours = config.providers.get(entry.name)
        if ours is None:
            new.append(entry)
        elif _urls(ours) == _urls(entry.provider()):
            present.append(entry.name)
            notes += _missing_keys(entry, ours)
        else:
            refused[entry.name] = (
                f"you have a provider of that name, at {ours.endpoints[0].url}: "
                f"holdfast provider rename {entry.name} NEW-NAME   (renames yours), then run this again"
            )
    available = {*config.providers, *(entry.name for entry in new)} - refused.keys()
    fallbacks = []
    for pin, then in result.fallbacks:
        if not all(name.partition("/")[0] in available for name in (pin, *then)):
            continue
        ours_then = _fallbacks_of(config, pin)
        if ours_then is None:
            fallbacks.append((pin, then))
        elif ours_then != then:
            notes.append((f"the fallbacks of {pin}", "you have other fallbacks for it"))
    if not copied:
        notes += [note for entry in new for note in _uncopied_value(entry)]
    return Plan(
        tuple(new),
        tuple(present),
        refused=tuple(refused.items()),
        fallbacks=tuple(fallbacks),
        notes=tuple(notes),
        copied=copied,
    )


def apply(home: Home, planned: Plan) -> tuple[str, ...]:
    """Write the plan, entry by entry; return the names that were written. Raises a ConfigError that says
    which had been written before."""
    written: list[str] = []
    try:
        for entry in planned.new:
            _write(home, entry, planned.copied, written)
        for pin, then in planned.fallbacks:
            set_fallback(home, Pin.parse(pin), [Pin.parse(fallback) for fallback in then])
    except HoldfastError as error:
        before = "nothing was written"
        if written:
            before = f"written before that: {', '.join(written)}"
        raise ConfigError(error.what, details=[*error.details, before], next_step=error.next_step) from None
    return tuple(written)


def _write(home: Home, entry: Entry, copied: bool, written: list[str]) -> None:
    """Write one entry, then the values of its keys if they are copied; add its name to `written` between
    these steps."""
    values: list[FoundKey] = []
    if copied:
        values = [key for key in entry.keys if key.secret is not None]
    kept = replace(entry, keys=tuple(key for key in entry.keys if key not in values))
    fields = kept.table(copied=False)
    add_provider(home, entry.name, fields)
    written.append(entry.name)
    for key in values:
        add_key(home, entry.name, entry.key_table(key, f"store:{key.label}"), key.secret)


def _refuse_unknown(only: Collection[str], names: Collection[str]) -> None:
    for name in only:
        if name not in names:
            raise ConfigError(
                f"nothing called '{name}' was found: {near(name, names)}",
                next_step="holdfast import --help",
            )


def _urls(provider: Provider) -> set[tuple[str, str]]:
    return {(endpoint.url, str(endpoint.dialect)) for endpoint in provider.endpoints}


def _missing_keys(entry: Entry, ours: Provider) -> list[tuple[str, str]]:
    """Return a note for each key of the entry that our provider does not have."""
    name, our_refs = entry.name, {key.ref for key in ours.keys}
    notes = []
    for key in entry.keys:
        ref = key.ref or f"store:{key.label}"
        if {ref, f"store:{key.label}"} & our_refs:
            continue
        why = f"your '{name}' does not have it: holdfast key add {name} --from {quoted(ref)}"
        if key.url:
            why = f"your '{name}' does not have it, and its URL is another one: holdfast provider show {name}"
        if ref.startswith(_COMMAND):
            why += "   (this would run the command whenever the key is read)"
        what = key.ref or f"the key '{key.label}' of '{name}', whose value is in {key.location}"
        notes.append((what, why))
    return notes


def _fallbacks_of(config: Config, pin: str) -> tuple[str, ...] | None:
    """Return the fallbacks that the configuration has for a pin; None for none."""
    fallbacks = config.fallbacks.get(Pin.parse(pin))
    if fallbacks is None:
        return None
    return tuple(map(str, fallbacks.then))


def _uncopied_value(entry: Entry) -> list[tuple[str, str]]:
    """Return a note on the first key of the entry whose value is in a file and is not copied."""
    for key in entry.keys:
        if key.secret is None:
            continue
        why = f"its value is in {key.location}: --copy-secrets keeps a copy in secrets.toml"
        if key.ref:
            name = key.ref.partition(":")[2]
            why = (
                f"{key.location} sets {name}, and Holdfast does not read that file: "
                "export it, or use --copy-secrets"
            )
        return [(f"the key of '{entry.name}'", why)]
    return []
