"""Make a Config of a parsed holdfast.toml, or one ConfigError with all its mistakes.

`schema` says what each table may contain. Nothing here opens a file, knows a secret, or repeats one: a
literal key that somebody wrote into the file never appears in a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from ..core.config import Config, GatewaySettings, Limits, Locate, ModelFacts, SignIn, StoreSettings, near
from ..core.errors import ConfigError, IdentityError, Problem
from ..core.identity import Auth, Dialect, Endpoint, Key, Pin, Provider, ProviderName, Strategy
from ..core.known_hosts import KnownAt, knows_none
from ..core.routes import FallbackChain
from ..values.key_labels import label_of
from ..values.secret import redact
from . import assertions, caps_tables, converters, model_tables, schema
from . import endpoints as endpoints_of
from .toml_text import join

T = TypeVar("T")
Presets = Callable[[str], Mapping[str, object]]

_DEFAULT_RETURN_AFTER = 600.0
"""Seconds until a session returns from a fallback, where the file does not say."""
# Keys that other programs use for ours, where the spelling alone would not suggest it.
_FOREIGN = {
    "base_url": "url",
    "api_base": "url",
    "baseURL": "url",
    "api": "dialect",
    "type": "dialect",
    "api_mode": "dialect",
    "fallback": "then",
    "name": "id",
    "model": "id",
    "max_tokens": "output",
    "maxTokens": "output",
    "modalities": "input",
}
_SECRET_NAMES = frozenset({"api_key", "apikey", "apiKey", "token", "auth_token", "secret", "password"})


def parse(
    document: Mapping[str, object], *, presets: Presets, locate: Locate, known_at: KnownAt = knows_none
) -> Config:
    """Return the configuration that `document` writes. Raises ConfigError with all problems.

    presets   returns the row of a known provider, or None
    locate    returns the line of a TOML path ("holdfast.toml:12"); called only for messages
    known_at  returns the preset that has a URL; called only for messages"""
    reader = _Reader(presets, locate)
    top = reader.fields("", document, schema.TOP)
    entries = top.get("provider", {})
    reader.sign_ins = {name: reader.sign_in(name, raw) for name, raw in top.get("signin", {}).items()}
    providers = [reader.provider(name, raw) for name, raw in entries.items()]
    chains = [reader.fallback_chain(pin, raw, entries) for pin, raw in top.get("fallback", {}).items()]
    settings = Limits(**reader.fields("settings", top.get("settings", {}), schema.SETTINGS))
    gateway = GatewaySettings(**reader.fields("gateway", top.get("gateway", {}), schema.GATEWAY))
    store = StoreSettings(**reader.fields("store", top.get("store", {}), schema.STORE))
    if reader.problems:
        step = "holdfast doctor   (after correcting the file)"
        raise ConfigError("the configuration is wrong:", problems=reader.problems, next_step=step)
    return Config(
        providers={provider.name: provider for provider in providers if provider},
        fallbacks={chain.pin: chain for chain in chains if chain},
        settings=settings,
        gateway=gateway,
        store=store,
        sign_ins={name: sign_in for name, sign_in in reader.sign_ins.items() if sign_in},
        facts=reader.facts,
        caps=reader.caps,
        sources=reader.sources,
        locate=locate,
        known_at=known_at,
    )


class _Reader:
    """A reader of tables that collects their mistakes. A value with a mistake is left out of the result."""

    def __init__(self, presets: Presets, locate: Locate) -> None:
        self._presets, self._locate = presets, locate
        self.problems: list[Problem] = []
        self.sources: dict[tuple[str, str, Dialect], tuple[str, str]] = {}
        self.sign_ins: dict[str, SignIn | None] = {}
        self.facts: dict[Pin, ModelFacts] = {}
        self.caps: dict[tuple[ProviderName, Dialect], dict[str, Any]] = {}

    def wrong(self, path: str, what: str, fix: str = "") -> None:
        """Record a mistake at a TOML path, and how to correct it."""
        self.problems.append(Problem(path, what, fix, self._locate(path)))

    def tried(self, path: str, make: Callable[[], T], fix: str = "") -> T | None:
        """Return the result of `make`. If it refuses, record why (without a secret) and return None."""
        try:
            return make()
        except IdentityError as error:
            self.wrong(path, redact(error.what), error.next_step or fix)
        except ValueError as error:
            self.wrong(path, str(error), fix)
        return None

    def fields(self, path: str, value: object, allowed: schema.Fields, owner: str = "NAME") -> dict[str, Any]:
        """Return the converted fields of one table; unknown ones are mistakes."""
        fields: dict[str, Any] = {}
        for name, raw in (self.tried(path, lambda: converters.table(value)) or {}).items():
            if name not in allowed:
                self._unknown(join(path, name), name, allowed, owner)
                continue
            field = self.tried(join(path, name), partial(allowed[name], raw))
            if field is not None:
                fields[name] = field
        return fields

    def _unknown(self, path: str, name: str, allowed: schema.Fields, owner: str) -> None:
        """Record a key that the table does not have, with the nearest one that it has."""
        if name in _SECRET_NAMES:
            self.wrong(
                path,
                "a literal key does not belong in this file",
                f"remove it, then: holdfast key add {owner} --from env:VARIABLE",
            )
            return
        fix = near(name, allowed)
        foreign = _FOREIGN.get(name)
        if foreign in allowed:
            fix = f"did you mean '{foreign}'?"
        self.wrong(path, f"unknown key '{name}'", fix)

    # --- providers ---

    def provider(self, name: str, raw: object) -> Provider | None:
        path, before = join("provider", name), len(self.problems)
        owner = self.tried(path, lambda: ProviderName(name)) or ProviderName("new-name")
        given = self.fields(path, raw, schema.PROVIDER, name)
        row = self._preset(join(path, "preset"), given.get("preset"))
        written = endpoints_of.of_provider(self, path, given, row)
        for dialect, (url_path, _) in written.items():
            self.sources[owner, "", dialect] = (url_path, given.get("preset", ""))
        endpoints = {dialect: endpoint for dialect, (_, endpoint) in written.items()}
        keys = self._keys(path, owner, given.get("keys", []), endpoints)
        models = self._models(path, owner, given)
        self.caps |= caps_tables.declared(self, join(path, "caps"), owner, given.get("caps", {}))
        if keys and endpoints and all(endpoint.auth is Auth.NONE for endpoint in endpoints.values()):
            self.wrong(
                join(path, "keys"),
                'this provider takes no key (auth = "none")',
                'write auth = "bearer", or remove the keys',
            )
        if len(self.problems) > before:
            return None

        def make() -> Provider:
            return Provider(
                name=owner,
                endpoints=tuple(endpoints.values()),
                keys=keys,
                models=models,
                strategy=given.get("strategy", Strategy.FILL_FIRST),
                preset=given.get("preset"),
                profile=given.get("profile", row.get("profile")),
                answers_as=given.get("answers_as", ()),
                forward_headers=given.get("forward_headers", ()),
                **given.get("translate", {}),
            )

        return self.tried(path, make)

    def _models(self, path: str, owner: ProviderName, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the names of the declared models; None where there is no list. Names that could be part of
        no pin are mistakes."""
        for model, _ in given.get("answers_as", ()):
            self.tried(join(path, "answers_as"), partial(Pin, owner, model))
        if "models" not in given:
            return None
        models = model_tables.declared(self, join(path, "models"), owner, given["models"])
        self.facts |= {pin: facts for pin, facts in models.items() if facts}
        return tuple(pin.model for pin in models)

    def _preset(self, path: str, name: str | None) -> dict[str, Any]:
        """Return the row of a preset, as far as it has fields of a provider's table."""
        if not name:
            return {}
        row = self.tried(path, lambda: self._presets(name)) or {}
        known = {field: value for field, value in row.items() if field in schema.PROVIDER}
        return self.fields("", known, schema.PROVIDER)

    def dialect(self, path: str, name: object) -> Dialect | None:
        """Return the dialect of that name, or None and a mistake at `path`."""
        return self.tried(path, lambda: converters.dialect(name))

    def endpoint_fields(self, path: str, value: object) -> dict[str, Any]:
        """Return the fields of the table of one endpoint."""
        return self.fields(path, value, schema.ENDPOINT)

    # --- keys and sign-ins ---

    def _keys(
        self, path: str, owner: ProviderName, raws: list[object], endpoints: Mapping[Dialect, Endpoint]
    ) -> tuple[Key, ...]:
        keys, seen = list[Key](), set[object]()
        for position, raw in enumerate(raws):
            here = f"{path}.keys[{position}]"
            if (key := self._key(here, owner, raw, endpoints)) is None:
                continue
            if (key.ref, key.value) in seen:
                self.wrong(here, f"'{key.ref}' is listed twice", "remove one of the two")
            elif key.label in seen:
                self.wrong(here, f"'{key.label}' is listed twice", 'give it another label = "…"')
            keys.append(key)
            seen |= {(key.ref, key.value), key.label}
        return tuple(keys)

    def _key(
        self, here: str, owner: ProviderName, raw: object, endpoints: Mapping[Dialect, Endpoint]
    ) -> Key | None:
        given, ref = self._reference(here, owner, raw)
        if "url" in given and len(endpoints) > 1:
            what = f"'{owner}' speaks {', '.join(endpoints)}: which one does this URL speak?"
            self.wrong(join(here, "url"), what, 'write endpoints = { DIALECT = "https://…" }')
            return None
        own = endpoints_of.written(self, here, given, endpoints)
        if ref is None:
            return None
        scheme, _, rest = ref.partition(":")
        if wrong := assertions.why_not(scheme, rest, self.sign_ins):
            self.wrong(here, *wrong)
        if "value" in given and scheme not in ("cmd", "file"):
            self.wrong(join(here, "value"), f"'{scheme}:' has no value: only cmd: and file: do", "remove it")
        label = given.get("label") or label_of(ref)
        for dialect, (url_path, _) in own.items():
            self.sources[owner, label, dialect] = (url_path, "")
        return Key(
            provider=owner,
            label=label,
            ref=ref,
            account=given.get("account"),
            endpoints=tuple(endpoint for _, endpoint in own.values()),
            value=given.get("value", ""),
        )

    def _reference(self, here: str, owner: ProviderName, raw: object) -> tuple[dict[str, Any], str | None]:
        """Return the fields of a key and its reference: a bare string, or `from` in a table."""
        fix = f"remove it, then: holdfast key add {owner} --from env:VARIABLE"
        if isinstance(raw, str):
            return {"from": raw}, self.tried(here, lambda: converters.checked_reference(raw), fix)
        given = self.fields(here, raw, schema.KEY, owner)
        if isinstance(raw, Mapping) and "from" not in raw:
            self.wrong(here, "has no 'from': a key is a reference to where it is kept", fix)
        if "from" not in given:
            return given, None
        return given, self.tried(join(here, "from"), lambda: converters.checked_reference(given["from"]), fix)

    def sign_in(self, name: str, raw: object) -> SignIn | None:
        path, before = join("signin", name), len(self.problems)
        self.tried(path, lambda: converters.label(name))
        given = self.fields(path, raw, schema.SIGN_IN)
        if "assertion" in given:
            given.setdefault("client_id", "")
        for needed in ("client_id", "token_url"):
            if needed not in given and len(self.problems) == before:
                self.wrong(path, f"has no {needed}", f'write {needed} = "…"')
        if len(self.problems) > before:
            return None
        sign_in = self.tried(path, lambda: SignIn(name, **given))
        if sign_in is not None and (missing := assertions.lacks(sign_in)):
            self.wrong(path, f"has no {missing}", f'write fields = {{ {missing} = "…" }}')
        return sign_in

    # --- fallbacks ---

    def fallback_chain(self, text: str, raw: object, entries: Iterable[str]) -> FallbackChain | None:
        path = join("fallback", text)
        given = self.fields(path, raw, schema.FALLBACK)
        pin = self._pin(path, text, entries)
        fallbacks = [self._pin(join(path, "then"), written, entries) for written in given.get("then", ())]
        known = tuple(fallback for fallback in fallbacks if fallback is not None)
        if pin is None or len(known) < len(fallbacks):
            return None

        def make() -> FallbackChain:
            return FallbackChain(
                pin,
                known,
                given.get("return_after", _DEFAULT_RETURN_AFTER),
                given.get("check", True),
            )

        return self.tried(path, make)

    def _pin(self, path: str, text: str, entries: Iterable[str]) -> Pin | None:
        """Return the pin, also if its provider is unknown, which is a mistake."""
        pin = self.tried(path, lambda: Pin.parse(text))
        if pin is not None and pin.provider not in entries:
            what = f"'{pin}' names a provider that is not in this file"
            self.wrong(path, what, near(pin.provider, entries))
        return pin
