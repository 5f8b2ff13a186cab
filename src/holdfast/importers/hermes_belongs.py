"""To whom a session of Hermes belongs, as far as its row tells.

Pure: values in, a claim out. Hermes stores the resolved class `custom` for every entry of the user's, and
finds the entry again by URL, the first at that URL winning, else the current default
(NousResearch/hermes-agent#44108, #44022, #9315, #102725). A name that the user typed decides. Without one,
exactly one entry has to fit the URL, the dialect and, where the entries list models, the model. Whatever
speaks against the claim makes it a doubt, which the user decides: the bill may be another account's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from ..values.secret import redact
from .addresses import base_of
from .hermes_builtin import BuiltIn, host_of
from .hermes_entries import HermesEntry, normal, plain
from .hermes_home import HermesHome
from .hermes_resume import is_local_kind
from .hermes_rows import BARE, Row
from .legacy_rows import bare_base
from .read_files import word

_FALLBACK = "its row was last written while a fallback answered, so it may name the fallback"


@dataclass(frozen=True, slots=True)
class Claim:
    """The owner of a row: an entry, or the name of a provider of hermes's `own`. With neither it is in doubt:
    `why`, and the `candidates` as --choose takes them."""

    entry: HermesEntry | None = None
    own: str = ""
    why: str = ""
    candidates: tuple[str, ...] = ()


def owner_of(home: HermesHome, row: Row) -> Claim:
    """Return to whom a row belongs."""
    if row.follows and home.is_newer:
        return Claim(why="hermes runs it with the settings of the day, whatever its row says")
    if row.is_confirmed:
        return _claimed(home, row, normal(row.provider))
    names = _names(home, row)
    if row.in_fallback:
        return Claim(why=_FALLBACK, candidates=_choices(home, (*names, home.provider)))
    if len(names) > 1:
        listed = " and ".join(f"'{name}'" for name in names)
        return Claim(why=f"its row names both {listed}", candidates=_choices(home, names))
    if not names:
        return _unless_moved(home, row, _by_url(home, row))
    return _unless_moved(home, row, _claimed(home, row, names[0]))


def in_words(names: Iterable[str]) -> str:
    """Return quoted names, as a list in a sentence."""
    quoted = [f"'{name}'" for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), *quoted[-1:])))


def is_its_own(home: HermesHome, own: BuiltIn, url: str) -> bool:
    """Return whether a URL is one of a provider of hermes's own: in its domains, or given to it by the user
    in the block `model:` or by its variable."""
    given = [home.base_urls.get(own.url_env, "")]
    default = home.own(home.provider)
    if default is not None and default.name == own.name:
        given.append(home.url)
    if any(text and bare_base(text) == bare_base(url) for text in given):
        return True
    return own.has_host_of(url) and (bool(own.hosts) or not entries_at(home, url))


def entries_at(home: HermesHome, url: str) -> list[HermesEntry]:
    """Return the entries with this URL, however it is written."""
    if not url:
        return []
    return [entry for entry in home.entries if has_url(entry, url)]


def has_url(entry: HermesEntry, url: str) -> bool:
    """Return whether a URL is the entry's: the call and `/v1` at the end make no difference."""
    return bare_base(base_of(url, entry.dialect)) == bare_base(base_of(entry.url, entry.dialect))


def _names(home: HermesHome, row: Row) -> tuple[str, ...]:
    """Return the names of different owners that a row has. The columns are asked when there is no other;
    `openrouter` is a class there, unless the URL is OpenRouter's."""
    names = row.names
    billed = normal(row.billed_provider)
    is_class = billed == "openrouter" and host_of(row.at) not in ("", "openrouter.ai")
    is_noted = bool(row.provider or row.live_provider)
    if not names and not is_noted and billed not in BARE and not is_class:
        names = (billed,)
    different: dict[object, str] = {}
    for name in names:
        own = home.own(name)
        different.setdefault(_entry(home, name) or (own and own.name) or name, name)
    return _without_derived(home, list(different.values()))


def _without_derived(home: HermesHome, names: Sequence[str]) -> tuple[str, ...]:
    """Leave out the name that hermes derived from the URL: that of the first entry there, whichever was
    chosen."""
    if len(names) != 2:
        return tuple(names)
    chosen, derived = (_entry(home, name) for name in names)
    is_derived = (
        chosen is not None
        and derived is not None
        and plain(chosen.url) == plain(derived.url)
        and home.first_at(chosen.url) == derived
    )
    if is_derived:
        return tuple(names[:1])
    return tuple(names)


def _entry(home: HermesHome, name: str) -> HermesEntry | None:
    """Return the entry with a name, also where spaces follow its `custom:`."""
    kind, colon, rest = name.partition(":")
    if kind == "custom" and colon:
        name = f"custom:{rest.strip('-')}"
    return home.named(name)


def _claimed(home: HermesHome, row: Row, name: str) -> Claim:
    """Return what a row's only name claims, if its URL agrees."""
    entry, own = _entry(home, name), home.own(name)
    if entry is not None:
        return _by_name(home, row, entry)
    if own is not None:
        return _by_own_name(home, row, name, own)
    there = [home.name_of(entry) for entry in entries_at(home, row.at)]
    why = f"no entry is called '{name.removeprefix('custom:')}'"
    if name in home.disabled:
        why = f"config.yaml switches '{name}' off"
    elif is_local_kind(name):
        why = f"its row names '{name}', which is a kind of server"
    elif home.is_newer and not name.startswith("custom:"):
        why += ", and this version of hermes may know it by itself"
    if there:
        why += f", and {in_words(there)} at its URL may be another account"
    return Claim(why=why, candidates=tuple(there))


def _by_name(home: HermesHome, row: Row, entry: HermesEntry) -> Claim:
    elsewhere = [url for url in row.urls if not has_url(entry, url)]
    others = chain.from_iterable(entries_at(home, url) for url in elsewhere)
    if elsewhere:
        why = f"its row names '{entry.name}' with a URL that this entry does not have: {redact(elsewhere[0])}"
    elif row.dialect not in (None, entry.dialect):
        why = f"its row names '{entry.name}' with an API that this entry does not have: {row.dialect}"
        others = chain.from_iterable(entries_at(home, url) for url in row.urls)
    else:
        return Claim(entry)
    names = (home.name_of(other) for other in (entry, *others))
    return Claim(why=why, candidates=tuple(dict.fromkeys(names)))


def _by_own_name(home: HermesHome, row: Row, name: str, own: BuiltIn) -> Claim:
    for url in row.urls:
        if is_its_own(home, own, url):
            continue
        there = [home.name_of(entry) for entry in entries_at(home, url)]
        what = f"a URL that is not one of '{name}': {redact(url)}"
        if there:
            what = f"the URL of {in_words(there)}"
        others = [entry for entry in home.entries if name in entry.called or row.model in entry.models]
        return Claim(
            why=f"its row names hermes's own '{name}' with {what}",
            candidates=tuple(dict.fromkeys((name, *there, *map(home.name_of, others)))),
        )
    return Claim(own=name)


def _by_url(home: HermesHome, row: Row) -> Claim:
    """Return the one entry that a row can mean that names none."""
    if not row.at:
        declared = _declaring(home, row.model)
        why = "its row names neither an entry nor a URL"
        if declared:
            why += f"; its model is listed by {in_words(map(home.name_of, declared))}"
        return Claim(why=why, candidates=tuple(map(home.name_of, declared or home.entries)))
    if not row.model:
        there = tuple(home.name_of(entry) for entry in entries_at(home, row.at))
        return Claim(why="its row names no model", candidates=there)
    fitting = _fitting(home, row, row.at)
    for url in (*row.urls, row.billed_url):
        fitting += [entry for entry in entries_at(home, url) if entry not in fitting and url != row.at]
    if len(fitting) == 1:
        return Claim(fitting[0])
    names = [home.name_of(entry) for entry in fitting or entries_at(home, row.at)]
    if not names:
        return Claim(why=f"no entry has its URL: {redact(row.at)}")
    if fitting:
        return Claim(
            why=f"{in_words(names)} have its URL, and nothing tells which it was", candidates=tuple(names)
        )
    return Claim(why=f"only {in_words(names)} has its URL, with another API", candidates=tuple(names))


def _fitting(home: HermesHome, row: Row, url: str) -> list[HermesEntry]:
    """Return the entries that serve the row's dialect at a URL and, if any of them declares its model, that
    may serve this."""
    at_url = [entry for entry in entries_at(home, url) if row.dialect in (None, entry.dialect)]
    if not any(row.model in entry.models for entry in at_url):
        return at_url
    return [entry for entry in at_url if not entry.models or row.model in entry.models]


def _unless_moved(home: HermesHome, row: Row, claim: Claim) -> Claim:
    """Return the claim, or the doubt that only other entries declare the row's model: hermes may have noted
    another model and kept the provider (NousResearch/hermes-agent#79536)."""
    declared = _declaring(home, row.model)
    if claim.why or not declared or claim.entry in declared:
        return claim
    if claim.own and home.own(claim.own) in map(home.own, _called_with(home, row.model)):
        return claim
    if row.as_one and not (claim.entry and claim.entry.models):
        return claim
    if any(claim.own in entry.called for entry in declared):
        return claim
    owner = claim.own
    if claim.entry is not None:
        owner = home.name_of(claim.entry)
    names = [home.name_of(entry) for entry in declared]
    return Claim(
        why=f"its row means '{owner}', but its model is listed by {in_words(names)} only",
        candidates=(owner, *names),
    )


def _declaring(home: HermesHome, model: str) -> list[HermesEntry]:
    """Return the entries that list a model, or that config.yaml names together with it."""
    together = [_entry(home, normal(called)) for called in _called_with(home, model)]
    return [entry for entry in home.entries if model in entry.models or entry in together]


def _called_with(home: HermesHome, model: str) -> list[str]:
    """Return the providers that config.yaml names with a model: as the default or as a fallback."""
    rows = [(word(row.get("provider")), word(row.get("model"))) for row in home.fallbacks]
    return [called for called, paired in ((home.provider, home.model), *rows) if model and paired == model]


def _choices(home: HermesHome, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that --choose takes, each owner once."""
    choices: dict[str, None] = {}
    for name in names:
        entry = _entry(home, name)
        if entry is not None:
            choices[home.name_of(entry)] = None
        elif home.own(name) is not None:
            choices[name] = None
    return tuple(choices)
