"""What an import would write into holdfast.toml, against what stands there: new entries, those that are there
already, and those whose name is taken by another URL, which are left to the user. Writing keeps the file's
comments and replaces nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..config import add_key, add_provider, set_fallback
from ..config.edit import fallback_text, provider_text
from ..config.home import Home
from ..core.config import Config, near
from ..core.errors import ConfigError, HoldfastError
from ..core.identity import Pin, Provider
from .base import Entry, Found


@dataclass(frozen=True, slots=True)
class Plan:
    """`copied` says whether values are kept by us. `refused` and `notes` are (what, why)."""

    new: tuple[Entry, ...]
    present: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[tuple[str, str], ...]
    copied: bool

    def text(self) -> str:
        """The TOML that would be written."""
        entries = [provider_text(one.name, one.table(copied=self.copied)) for one in self.new]
        return "\n".join([*entries, *(fallback_text(pin, then) for pin, then in self.fallbacks)])


def plan(found: Found, config: Config, only: Collection[str] = (), *, copied: bool = False) -> Plan:
    """What would be done. Raises ConfigError when `only` names something that was not found."""
    names = [one.name for one in found.entries]
    if strange := [one for one in only if one not in names]:
        raise ConfigError(
            f"nothing called '{strange[0]}' was found: {near(strange[0], names)}",
            next_step="holdfast import --help",
        )
    wanted = [one for one in found.entries if not only or one.name in only]
    new, present, refused, notes = [], [], [], list(found.left_out if not only else ())
    for one in wanted:
        there = config.providers.get(one.name)
        if there is None:
            new.append(one)
        elif _places(there) == _places(one.provider()):
            present.append(str(one.name))
            notes += [
                (ref, f"'{one.name}' is there without it: holdfast key add {one.name} --from {ref}")
                for ref in _lacking(one, there)
            ]
        else:
            url = there.endpoints[0].url
            refused.append(
                (
                    str(one.name),
                    f"a provider of that name is there, at {url}: holdfast provider rename {one.name} NEW-NAME   (yours), then again",
                )
            )
    known = {*config.providers, *(one.name for one in new)}
    fallbacks = [
        (pin, then)
        for pin, then in found.fallbacks
        if all(each.partition("/")[0] in known - {name for name, _ in refused} for each in (pin, *then))
    ]
    notes += [
        (f"the fallbacks of {pin}", "you have fallbacks for it already")
        for pin, then in fallbacks
        if _other(config, pin, then)
    ]
    fallbacks = [(pin, then) for pin, then in fallbacks if Pin.parse(pin) not in config.fallbacks]
    notes += [_value(one, copied) for one in new if _value(one, copied)[1]]
    return Plan(tuple(new), tuple(present), tuple(refused), tuple(fallbacks), tuple(notes), copied)


def _places(provider: Provider) -> set[tuple[str, str]]:
    return {(one.url, str(one.dialect)) for one in provider.endpoints}


def _other(config: Config, pin: str, then: tuple[str, ...]) -> bool:
    """Whether another ladder than this one stands there."""
    there = config.fallbacks.get(Pin.parse(pin))
    return there is not None and tuple(map(str, there.then)) != then


def _lacking(entry: Entry, provider: Provider) -> list[str]:
    return [key.ref for key in entry.keys if key.ref and key.ref not in [one.ref for one in provider.keys]]


def _value(entry: Entry, copied: bool) -> tuple[str, str]:
    """What has to be said about a value that is not copied."""
    values = [key for key in entry.keys if key.secret is not None]
    if copied or not values:
        return f"the key of '{entry.name}'", ""
    one = values[0]
    if one.ref:
        return (
            f"the key of '{entry.name}'",
            f"{one.place} sets {one.ref.partition(':')[2]}, and Holdfast does not read that: export it, or --copy-secrets",
        )
    return (
        f"the key of '{entry.name}'",
        f"it stands as a value in {one.place}: --copy-secrets keeps a copy in secrets.toml",
    )


def apply(home: Home, planned: Plan) -> tuple[str, ...]:
    """Writes the plan, entry by entry; gives the names that stand now. Raises ConfigError that says which had
    been written before."""
    written: list[str] = []
    try:
        for one in planned.new:
            table = one.table(copied=False)
            values = [key for key in one.keys if planned.copied and key.secret is not None]
            refs = [key.ref for key in one.keys if key.ref and key not in values]
            add_provider(
                home,
                one.name,
                {name: value for name, value in table.items() if name != "keys"}
                | ({"keys": refs} if refs else {}),
            )
            written.append(str(one.name))
            for key in values:
                add_key(home, one.name, {"from": f"store:{key.label}"}, key.secret)
        for pin, then in planned.fallbacks:
            set_fallback(home, Pin.parse(pin), [Pin.parse(fallback) for fallback in then])
    except HoldfastError as error:
        before = f"written before that: {', '.join(written)}" if written else "nothing was written"
        raise ConfigError(error.what, details=[*error.details, before], next_step=error.next_step) from None
    return tuple(written)
