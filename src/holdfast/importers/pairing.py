"""Which key may go where: the one rule for all importers.

A key meets a preset's host only if nothing in the other program's own files, environment or defaults gives
that key, or that provider, another URL. Otherwise it stays with that URL, or is not carried, and that is
told.

How an importer uses it (base.ResultBuilder asks this module; an importer decides nothing of this by itself):

    builder = ResultBuilder("litellm", reader, honours_base_urls=True)
    builder.add("corp", OwnUrl("https://llm.corp.example/v1"), keys=[reader.variable("CORP_KEY")])
    builder.add("openai", OfPreset("openai"), keys=[reader.variable("OPENAI_KEY")])
    builder.add("relay", Unresolved("the variable RELAY_URL is not set here"), keys=[...])
    builder.refuse("azure", "it needs more than a URL and a key", keys=[...], url="https://az.example")
    builder.add("groq", OfPreset("groq"), keys=[reader.found("GROQ_KEY")])
    return builder.result()

1. `where` says where the URL comes from: OwnUrl (the files, the environment, or the program's table of
   defaults where it differs from ours), OfPreset (nothing gives one), Unresolved (something gives one that is
   not known here: the entry is left out, its keys are not carried, and both are told).
2. `keys` are what a KeyReader returned, NoKey included: its reason is told. A key is WRITTEN if the files
   pair it with this provider; `reader.found(NAME)` and `key.by_name()` say that it was only FOUND, by its
   variable's name or in a file of keys. `replace(key, url=...)` says that the files send this one key to
   another URL than its provider.
3. What is left out is handed over too (`refuse`), with its keys: they have a URL, though we do not speak its
   API.
4. `result()` decides, because only then are all pairs of the files known. A FOUND key stays with the URL at
   which the files use the same key, by reference or by value, and is not given to the preset as well. A
   variable that gives a base URL to its family (`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`, `<P>_API_BASE`, also
   for `<P>_AUTH_TOKEN` and `<P>_API_KEY_2`) moves a preset there if the program honours it
   (`honours_base_urls`); if the program does not, the keys in variables of that family are not carried.
5. What has no place in holdfast.toml is told: `builder.tell_fields(table, "codex.provider", at=...)` tells
   every field of a table that fields.toml does not call carried or harmless, unknown ones too;
   `headers.carried` splits headers; the rest is for `builder.leave_out(what, why)`. That a provider has no
   key is told by the builder.
6. Add what the files write before what is only found: names are given in the order of the calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..providers import presets
from ..values.secret import redact, without_user
from .addresses import OfPreset, OwnUrl, Unresolved, Where, canonical, place
from .keys import FoundKey, KeyReader, NoKey, Pairing, shown_name

_KEY_ENDS = re.compile(r"_(?:API_KEY|API_TOKEN|AUTH_TOKEN|ACCESS_TOKEN|APIKEY|KEY|TOKEN)S?(?:_?\d+)?\Z")
_URL_ENDS = (
    *("BASE_URL", "API_BASE", "API_BASE_URL", "API_URL", "API_ENDPOINT", "ENDPOINT", "BASE", "URL"),
    *("BASEURL", "API_BASEURL", "ENDPOINT_URL", "BASE_URI"),
)
_ELSEWHERE_ENDS = (
    *("HOST", "API_HOST", "SERVER", "SERVER_URL", "API_SERVER", "BASE_URLS", "API_BASE_URLS", "API_URLS"),
    *("PROXY_URL", "API_PROXY", "API_PROXY_URL", "REVERSE_PROXY", "PROXY_BASE_URL"),
)
"""Ends of variables that give a provider another address in a form of their program's own: without the path,
with the call's, or several."""
_MORE_FAMILIES = {"GEMINI": ("GOOGLE_GEMINI",), "GOOGLE": ("GOOGLE_GEMINI",)}
_OTHER_APIS = ("GOOGLE_GEMINI_BASE_URL",)
"""Variables whose URL is one of the vendor's native API."""
_OTHER_SERVICES = (
    *("HF_ENDPOINT", "HF_ENDPOINT_URL", "HUGGINGFACE_ENDPOINT", "HUGGINGFACE_ENDPOINT_URL"),
    *("GITHUB_API_URL", "GITHUB_SERVER_URL", "GITHUB_HOST"),
)
"""Variables of that form which say where another service of the vendor is."""
_UNKNOWN = "a URL that is not known here"


@dataclass(frozen=True, slots=True)
class Use:
    """Says where the other program's files use a key: the URL ("" for one that is not known here), and the
    location in words."""

    url: str
    location: str

    @property
    def shown(self) -> str:
        """Return where it is, for a message."""
        url = redact(without_user(self.url)) or _UNKNOWN
        return f"{url} ({self.location})"


@dataclass(frozen=True, slots=True)
class Families:
    """The variables that give base URLs, by the part of their names that they share with variables of keys:
    those of the environment, those that a file sets, and those that a file names and nothing here sets."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    others: Mapping[str, str] = field(default_factory=dict, repr=False)
    others_at: str = ""
    unset: frozenset[str] = frozenset()

    def missing(self, preset: str) -> str:
        """Return the variables that would give a URL to a preset if they were set here; "" for none."""
        return " and ".join(Families({name: name for name in self.unset}).of_preset(preset))

    def of_key(self, ref: str) -> dict[str, str]:
        """Return the variables, with their values, that give a URL to the variable of a key."""
        scheme, _, name = ref.partition(":")
        if scheme != "env":
            return {}
        stem = stem_of(name)
        return {**self.of_stem(stem), **self.of_stem(stem, ends=_ELSEWHERE_ENDS)}

    def of_preset(self, preset: str) -> dict[str, str]:
        """Return the variables, with their values, that give a URL to a preset."""
        stems = {stem_of(name) for name in presets.find(preset).get("env", ())}
        stems.add(re.sub(r"\W", "_", preset).upper())
        given: dict[str, str] = {}
        for stem in sorted(stems):
            given |= self.of_stem(stem)
        return given

    def of_stem(self, stem: str, *, ends: Iterable[str] = _URL_ENDS) -> dict[str, str]:
        """Return the variables, with their values, of a family."""
        names = [f"{family}_{end}" for family in (stem, *_MORE_FAMILIES.get(stem, ())) for end in ends]
        known = [name for name in names if name not in _OTHER_SERVICES]
        given = {name: self.values.get(name, "").strip() for name in known}
        second = {f"{name} of {self.others_at}": self.others.get(name, "").strip() for name in known}
        return {name: url for name, url in {**given, **second}.items() if url}


def stem_of(variable: str) -> str:
    """Return the part of a key's variable that names its family: OPENAI of OPENAI_API_KEY_2."""
    return _KEY_ENDS.sub("", variable)


class Pairs:
    """All pairs of a key and a URL in the other program's files."""

    def __init__(self) -> None:
        self._uses: dict[object, list[Use]] = {}

    def note(self, key: FoundKey, where: Where, location: str) -> None:
        """Note where the files use a key. A key that was only found is used nowhere by them."""
        if key.pairing is not Pairing.WRITTEN:
            return
        for url in _urls(key, where):
            for identity in key.identities:
                self._uses.setdefault(identity, []).append(Use(url, location))

    def has(self, key: FoundKey) -> bool:
        """Return whether the files use a key, also for a provider that is left out."""
        return not self._uses.keys().isdisjoint(key.identities)

    def elsewhere(self, key: FoundKey, where: OfPreset | OwnUrl) -> Use | None:
        """Return the first other place than `where` at which the files use a key."""
        uses = [use for identity in key.identities for use in self._uses.get(identity, ())]
        return next((use for use in uses if not where.has(use.url)), None)


def _urls(key: FoundKey, where: Where) -> Iterable[str]:
    if key.url:
        return (key.url,)
    if isinstance(where, OwnUrl):
        return (where.url,)
    if isinstance(where, OfPreset):
        return list(where.endpoints().values())
    return ("",)


def place_of(preset: OfPreset, families: Families) -> Where:
    """Return where a program that honours the variables of base URLs asks a provider. Unresolved when two
    variables disagree."""
    given = families.of_preset(preset.name)
    others = {name: url for name, url in given.items() if not preset.has(url)}
    missing = families.missing(preset.name)
    if not others and missing:
        return Unresolved(f"the variable {missing} is not set here")
    if not others:
        return preset
    if len({canonical(url) for url in others.values()}) > 1 or len(others) < len(given):
        return Unresolved(f"{' and '.join(given)} give it different ones")
    native = next((name for name in others if name in _OTHER_APIS), "")
    if native:
        return Unresolved(f"{native} gives one of its native API, which is none of our dialects")
    return preset.moved_to(next(iter(others.values())))


def with_one_url(where: Where, keys: list[FoundKey]) -> tuple[Where, list[FoundKey]]:
    """Return where a provider is, and its keys: a preset whose keys all go to one other URL is there; a key
    keeps a URL of its own only where it differs."""
    if isinstance(where, OfPreset):
        others = {canonical(key.url): key.url for key in keys if key.url and not where.has(key.url)}
        if len(others) == 1 and all(key.url for key in keys):
            where = where.moved_to(next(iter(others.values())))
    return where, [_without_same_url(key, where) for key in keys]


def _without_same_url(key: FoundKey, where: Where) -> FoundKey:
    """Return the key without its URL where that is its provider's."""
    if isinstance(where, OfPreset) and where.has(key.url):
        return replace(key, url="")
    if isinstance(where, OwnUrl) and key.url and canonical(key.url) == canonical(where.url):
        return replace(key, url="")
    return key


def refused(key: FoundKey, where: OfPreset | OwnUrl, pairs: Pairs, families: Families) -> str:
    """Return why a key is not given to a provider; "" when it is, and for one that has a URL of its own."""
    if key.url:
        return ""
    if isinstance(where, OfPreset):
        own = shown_name(key.ref.partition(":")[2])
        for name, url in families.of_key(key.ref).items():
            if not _is_there(where, name, url):
                return f"{name} gives {own} another URL than that of preset '{where.name}'"
    if key.pairing is Pairing.WRITTEN:
        return ""
    use = pairs.elsewhere(key, where)
    if use is None:
        return ""
    return f"it is used at {use.shown}, and nothing pairs it with {where.shown}"


def _is_there(where: OfPreset, variable: str, url: str) -> bool:
    """Return whether a variable's URL is the preset's; of an address in another form, the host says it."""
    if where.has(url):
        return True
    name = variable.partition(" ")[0]
    if not name.endswith(_ELSEWHERE_ENDS) or re.search(r"[;,\s]", url):
        return False
    own = {place(endpoint, dialect)[0] for dialect, endpoint in where.endpoints().items()}
    return place(url, "")[0] in own


def usual_key(reader: KeyReader, preset: str) -> FoundKey | NoKey:
    """Return the key in the variable where programs look for a preset's, if one is set: no file pairs it, and
    it goes where the files say that the provider is. Without it, the provider stays, and has no key."""
    names = [name for name in presets.find(preset).get("env", ()) if reader.value(name)]
    if not names:
        return NoKey()
    key = reader.found(names[0])
    if isinstance(key, NoKey):
        return key
    return replace(key, pairing=Pairing.USUAL)
