"""How CC Switch stores the configuration of each program, and what it means: CC Switch itself may translate,
so the address of a profile can speak another dialect than its program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config.model_tables import name_of, written
from ..providers import presets
from .addresses import DIALECTS, OfPreset, OwnUrl
from .base import ResultBuilder
from .claude import MODELS
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .read_files import mapping, toml_in, word, words
from .rows import (
    CHAT,
    HEADERS,
    MESSAGES,
    PIN,
    RESPONSES,
    SIGN_IN,
    first_key,
    refuse_api,
    rows_in,
    tell,
)

_FORMATS = {"anthropic": MESSAGES, "openai_chat": CHAT, "openai_responses": RESPONSES}
_SIGN_INS = ("github_copilot", "codex_oauth", "xai_oauth", "google_official")
_KEYS_OF = {
    name: tuple(presets.find(name)["env"]) for name in ("anthropic", "openai", "openrouter", "gemini")
}
_KEY, _OPENAI_KEY = _KEYS_OF["anthropic"][0], _KEYS_OF["openai"][0]
_CLAUDE_KEYS = ("ANTHROPIC_AUTH_TOKEN", _KEY, _KEYS_OF["openrouter"][0], *_KEYS_OF["gemini"])
_TOLD = {
    "custom_endpoints": "an entry has one address: holdfast provider add NAME --url URL, for each other",
    "endpointAutoSelect": "a provider here keeps its address",
    "localProxyRequestOverrides": HEADERS,
    "customUserAgent": "callers send their own",
    "limitDailyUsd": "a token has a budget: holdfast token new --help",
    "limitMonthlyUsd": "a token has a budget: holdfast token new --help",
}
_BEARER = "experimental_bearer_token"
_OFFICIAL = "it is the program's own sign-in, and has no address and no key"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile: its name, its place in words, the configuration of its program, what CC Switch notes about
    it, and whether it is the one in use."""

    called: str
    at: str
    settings: Mapping[str, Any]
    meta: Mapping[str, Any]
    reader: KeyReader
    current: bool = False

    def literal(self, text: object, where: str) -> FoundKey | NoKey:
        """Return the key that is written at a place of the profile."""
        return self.reader.literal(word(text), at=f"{self.at} {where}", label=self.called)

    def first_of(
        self, builder: ResultBuilder, names: tuple[str, ...], *, url: str
    ) -> tuple[str, list[FoundKey | NoKey]]:
        """Return the first of some variables that the profile sets, with the key in it; "" and none without
        one. Note the others."""
        env = mapping(self.settings.get("env"))
        keys = {name: self.literal(env.get(name), f"env.{name}") for name in names}
        name, key = first_key(builder, keys, at=self.at, url=url)
        if not name:
            return "", []
        return name, [key]

    @property
    def format(self) -> str:
        """Return what the address speaks, in CC Switch's words; "" where nothing says so."""
        settings = self.settings
        places = (self.meta.get("apiFormat"), settings.get("api_format"), settings.get("apiFormat"))
        return next(filter(None, map(word, places)), "")

    def add_to(
        self,
        builder: ResultBuilder,
        where: OwnUrl | OfPreset,
        keys: list[FoundKey | NoKey],
        models: list[object],
    ) -> None:
        """Add the profile; note what it says beyond address, key and models."""
        tell(builder, self.at, self.meta, _TOLD)
        own_models = None
        if isinstance(where, OwnUrl):
            own_models = models
        name = builder.add(self.called, where, keys, location=self.at, models=own_models)
        if name and self.current and models:
            builder.leave_out(
                f"the profile in use, {self.at}", PIN.format(pin=f"{name}/{name_of(models[0])}")
            )


def _claude(builder: ResultBuilder, profile: Profile) -> None:
    env = mapping(profile.settings.get("env"))
    url = word(env.get("ANTHROPIC_BASE_URL")) or word(profile.settings.get("base_url"))
    name, keys = profile.first_of(builder, _CLAUDE_KEYS, url=url)
    shown = f"{profile.called} ({profile.at})"
    kind = word(profile.meta.get("providerType"))
    if kind in _SIGN_INS:
        builder.refuse(shown, SIGN_IN.format(title="CC Switch"), keys, url=url)
        return
    if profile.format == "gemini_native":
        refuse_api(builder, shown, "Google's own API", keys, url=url)
        return
    if not url and not keys:
        builder.leave_out(shown, _OFFICIAL)
        return
    if not url and name != _KEY:
        builder.refuse(shown, f"it has {name} and no address", keys)
        return
    models = [written(word(env.get(name))) for name in MODELS if word(env.get(name))]
    auth = ""
    dialect = _FORMATS.get(profile.format, MESSAGES)
    if name != _KEY and dialect == MESSAGES:
        auth = "bearer"
    where: OwnUrl | OfPreset = OfPreset("anthropic", MESSAGES)
    if url:
        where = OwnUrl(url, dialect, auth)
    profile.add_to(builder, where, keys, models)


def _codex(builder: ResultBuilder, profile: Profile) -> None:
    shown = f"{profile.called} ({profile.at})"
    config = toml_in(word(profile.settings.get("config")))
    if config is None:
        builder.leave_out(shown, "its config is not TOML")
        return
    auth = mapping(profile.settings.get("auth"))
    active = word(config.get("model_provider"))
    table = mapping(mapping(config.get("model_providers")).get(active))
    url = word(table.get("base_url")) or word(config.get("base_url")) or word(config.get("openai_base_url"))
    keys = {
        f"auth.{_OPENAI_KEY}": profile.literal(auth.get(_OPENAI_KEY), f"auth.{_OPENAI_KEY}"),
        _BEARER: profile.literal(table.get(_BEARER), f"config: {_BEARER}"),
        "env_key": profile.reader.variable(word(table.get("env_key"))),
    }
    _, key = first_key(builder, keys, at=profile.at, url=url)
    if mapping(auth.get("tokens")) or word(profile.meta.get("providerType")) in _SIGN_INS:
        builder.refuse(shown, SIGN_IN.format(title="Codex"), [key], url=url)
        return
    if not url and key == NoKey():
        builder.leave_out(shown, _OFFICIAL)
        return
    wire = profile.format or word(table.get("wire_api"))
    dialect = _FORMATS.get(wire) or DIALECTS.get(wire or "responses")
    if dialect is None:
        refuse_api(builder, shown, f"'{wire}'", [key], url=url)
        return
    tell(builder, profile.at, table, {"http_headers": HEADERS, "query_params": "an endpoint has no query"})
    catalog = rows_in(mapping(profile.settings.get("modelCatalog")).get("models"))
    listed = [
        written(word(row.get("model")), context=row.get("contextWindow"), input=row.get("inputModalities"))
        for row in catalog
        if word(row.get("model"))
    ]
    chosen = word(config.get("model"))
    where: OwnUrl | OfPreset = OfPreset("openai", RESPONSES)
    if url:
        where = OwnUrl(url, dialect)
    profile.add_to(builder, where, [key], _first_of(chosen, listed))


def _first_of(chosen: str, listed: list[object]) -> list[object]:
    """Return the models with the chosen one first."""
    if not chosen:
        return listed
    return [written(chosen), *(other for other in listed if name_of(other) != chosen)]


def _gemini(builder: ResultBuilder, profile: Profile) -> None:
    env = mapping(profile.settings.get("env"))
    url = word(env.get("GOOGLE_GEMINI_BASE_URL"))
    _, keys = profile.first_of(builder, _KEYS_OF["gemini"], url=url)
    shown = f"{profile.called} ({profile.at})"
    if url:
        refuse_api(builder, shown, "Google's own API", keys, url=url)
    elif not keys:
        builder.leave_out(shown, _OFFICIAL)
    else:
        profile.add_to(builder, OfPreset("gemini"), keys, [])


def _flat(builder: ResultBuilder, profile: Profile) -> None:
    """Read a profile of OpenClaw or Pi."""
    _add_table(builder, profile, url="baseUrl", key="apiKey", api="api")


def _hermes(builder: ResultBuilder, profile: Profile) -> None:
    _add_table(builder, profile, url="base_url", key="api_key", api="api_mode")


def _opencode(builder: ResultBuilder, profile: Profile) -> None:
    options = mapping(profile.settings.get("options"))
    package = word(profile.settings.get("npm")) or "@ai-sdk/openai-compatible"
    api = package.removeprefix("@ai-sdk/")
    if api == "openai":
        api = "responses"
    settings = {**options, "api": api, "models": profile.settings.get("models")}
    tell(builder, profile.at, options, {"headers": HEADERS})
    _add_table(builder, replace(profile, settings=settings), url="baseURL", key="apiKey", api="api")


def _add_table(builder: ResultBuilder, profile: Profile, *, url: str, key: str, api: str) -> None:
    """Add a profile whose settings name address, key, API and models by these members."""
    settings, shown = profile.settings, f"{profile.called} ({profile.at})"
    address, api_name = word(settings.get(url)), word(settings.get(api)) or "chat"
    used = profile.reader.text(
        word(settings.get(key)), Syntax.DOLLAR, at=f"{profile.at} {key}", label=profile.called
    )
    dialect = DIALECTS.get(api_name)
    if dialect is None:
        refuse_api(builder, shown, f"'{api_name}'", [used], url=address)
    elif not address:
        builder.refuse(shown, "it has no address", [used])
    else:
        models = [written(name) for name in words(settings.get("models"))]
        profile.add_to(builder, OwnUrl(address, dialect), [used], models)


def _not_read(builder: ResultBuilder, profile: Profile) -> None:
    builder.leave_out(f"{profile.called} ({profile.at})", "profiles of this program are not read")


READERS: Mapping[str, Callable[[ResultBuilder, Profile], None]] = {
    "claude": _claude,
    "claude-desktop": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
    "openclaw": _flat,
    "pi": _flat,
    "hermes": _hermes,
    "grokbuild": _not_read,
}
"""How to add the profiles of each program, by CC Switch's name of it."""
