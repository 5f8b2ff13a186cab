"""The deployments of a LiteLLM proxy: each row of model_list as its model, its address and its key
(LiteLLM 1.109: get_llm_provider_logic.py, credential_accessor.py; its prefixes are in litellm.toml)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..config.model_tables import written
from ..providers import presets
from ..values.secret import redact, without_user
from .addresses import OfPreset, OwnUrl, Unresolved, Where, place
from .base import ResultBuilder
from .headers import key_in
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .names import preset_for
from .pairing import usual_key
from .read_files import mapping, word

_CHAT, _RESPONSES = "openai-chat", "openai-responses"
_RESPONSES_PREFIX = "responses/"
_HEADERS = ("extra_headers", "headers", "default_headers")
_KINDS = {"image": "supports_vision", "audio": "supports_audio_input", "pdf": "supports_pdf_input"}
_STEP = "holdfast provider add NAME --url URL"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row of model_list: the group that clients name; its model, "" for any of the provider; the model as
    it is written in `models`; where the provider is; its key; and how that is sent, "" for the usual way."""

    group: str
    location: str
    family: str
    model: str
    written: object
    where: Where
    key: FoundKey | NoKey
    responses: bool = False

    @property
    def address(self) -> tuple[str, ...]:
        """Return what is equal for all deployments at one address: URL, dialect and auth, or the preset."""
        if isinstance(self.where, OwnUrl):
            return (*place(self.where.url, self.where.dialect), self.where.dialect, self.where.auth)
        if isinstance(self.where, OfPreset):
            return (self.where.name,)
        return (str(self.where),)

    @property
    def account(self) -> tuple[str, object]:
        """Return the identity of the key: two deployments with the same one share it."""
        if isinstance(self.key, NoKey):
            return "", None
        return self.key.ref, self.key.secret


class _Refused(Exception):
    """Raised with the reason why a deployment cannot be imported."""


def deployments(builder: ResultBuilder, config: Mapping[str, Any]) -> Iterator[Deployment]:
    """Yield the deployments that can be imported; note the others, and what is lost of each."""
    credentials, usual = _credentials(config), _usual(config)
    named: set[str] = set()
    rows = config.get("model_list")
    if not isinstance(rows, list):
        rows = []
    for at, raw in enumerate(rows):
        row = mapping(raw)
        given = mapping(row.get("litellm_params"))
        location = f"model_list[{at}]"
        name = word(given.get("litellm_credential_name"))
        params = {**usual, **credentials.get(name, {}), **given}
        params["model"] = builder.reader.expand(word(params.get("model")), Syntax.OS_ENVIRON).text
        made = _Row(
            builder,
            info=mapping(row.get("model_info")),
            params=params,
            called=word(row.get("model_name")),
            location=location,
        )
        if name and name not in credentials:
            why = f"there is no credential '{name}' in credential_list"
            builder.refuse(made.shown, f"{why}: {_STEP}", [made.key()])
            continue
        builder.tell_fields(row, "litellm.row", at=made.shown)
        builder.unset.update(builder.reader.expand(made.base, Syntax.OS_ENVIRON).missing)
        named.add(name)
        deployment = made.deployment()
        if deployment is not None:
            yield deployment
    for name in credentials:
        if name not in named:
            _tell_idle(builder, name, credentials[name])


def _tell_idle(builder: ResultBuilder, name: str, values: Mapping[str, Any]) -> None:
    """Note a credential that no row of model_list names."""
    row = _Row(builder, info={}, params=values, called=f"credential '{name}'", location="credential_list")
    address = row.reader.expand(row.base, Syntax.OS_ENVIRON)
    url, shown = address.text, "URL"
    if url and not address.missing:
        shown = redact(without_user(url))
    step = f"holdfast provider add NAME --url {shown}"
    builder.refuse(row.shown, f"no row of model_list names it: {step}", [row.key()], url=url)


def _usual(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters that LiteLLM takes for a row that has none of them."""
    usual = mapping(mapping(config.get("router_settings")).get("default_litellm_params"))
    settings = mapping(config.get("litellm_settings"))
    return {name: settings[name] for name in ("api_base", "api_key") if settings.get(name)} | dict(usual)


def _credentials(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the values of credential_list by name; a row's own values win over them."""
    rows = config.get("credential_list")
    if not isinstance(rows, list):
        return {}
    named = [mapping(row) for row in rows]
    return {word(row.get("credential_name")): mapping(row.get("credential_values")) for row in named}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of model_list, with the values of its credential."""

    builder: ResultBuilder
    info: Mapping[str, Any]
    params: Mapping[str, Any]
    called: str
    location: str

    @property
    def shown(self) -> str:
        """Return the row for a message."""
        return f"{self.called or word(self.params.get('model'))} ({self.location})"

    @property
    def reader(self) -> KeyReader:
        return self.builder.reader

    @property
    def base(self) -> str:
        """Return the address, as it is written; "" for none."""
        return word(self.params.get("api_base")) or word(self.params.get("base_url"))

    def deployment(self) -> Deployment | None:
        """Return the deployment; None, with a note, when it cannot be imported."""
        base = self.base
        address = self.reader.expand(base, Syntax.OS_ENVIRON)
        family, model = self._family_and_model(base)
        responses = model.startswith(_RESPONSES_PREFIX) or word(self.info.get("mode")) == "responses"
        model = model.removeprefix(_RESPONSES_PREFIX)
        auth, key = self._auth_and_key(family)
        url = address.text
        urls = self._urls_of_variables(family)
        if not base and len(urls) == 1:
            url = urls[0]
        try:
            where = self._where(family, url, responses=responses)
        except _Refused as refused:
            self.builder.refuse(self.shown, f"{refused}: {_STEP}", [key], url=url)
            return None
        if address.missing:
            where = Unresolved(address.why_not)
        if not base and len(urls) > 1:
            where = Unresolved("two variables give it different ones")
        if isinstance(where, OwnUrl) and auth:
            where = OwnUrl(where.url, where.dialect, auth)
        if isinstance(where, OfPreset) and isinstance(key, NoKey) and not key.why:
            key = usual_key(self.reader, where.name)
        self._tell(model)
        name = model
        if "*" in model:
            name = ""
        return Deployment(
            self.called or model,
            self.location,
            family,
            model=name,
            written=self._written(name),
            where=where,
            key=key,
            responses=responses,
        )

    def key(self) -> FoundKey | NoKey:
        """Return the key of the row, without the variable that LiteLLM would look for."""
        return self._auth_and_key("")[1]

    def _auth_and_key(self, family: str) -> tuple[str, FoundKey | NoKey]:
        def read(text: str) -> FoundKey | NoKey:
            return self.reader.text(text, Syntax.OS_ENVIRON, at=self.location, label=family or "imported")

        key = read(word(self.params.get("api_key")))
        if not isinstance(key, NoKey) or key.why:
            return "", key
        for name in _HEADERS:
            auth, key = key_in(mapping(self.params.get(name)), read)
            if auth:
                return auth, key
        return "", NoKey()

    def _family_and_model(self, base: str) -> tuple[str, str]:
        """Return LiteLLM's name of a provider ("" for none) and the model's name without it."""
        model = word(self.params.get("model"))
        family = word(self.params.get("custom_llm_provider")).lower()
        prefix, slash, rest = model.partition("/")
        if family and prefix == family:
            return family, rest
        if family:
            return family, model
        if slash:
            return prefix, rest
        if base:
            return "openai", model
        return "", model

    def _urls_of_variables(self, family: str) -> list[str]:
        """Return the URLs in the variables of a prefix (NVIDIA_NIM_API_BASE) that are not its maker's own."""
        stem, preset = family.upper().replace("-", "_"), preset_for("litellm", family)
        urls = [self.reader.value(f"{stem}_{end}") for end in ("API_BASE", "BASE_URL")]
        if preset:
            urls = [url for url in urls if not OfPreset(preset).has(url)]
        return list(dict.fromkeys(filter(None, urls)))

    def _where(self, family: str, url: str, *, responses: bool) -> Where:
        """Return where a provider is. Raises _Refused with the reason when that cannot be told, or when it
        speaks none of our dialects."""
        table, preset = _table(), preset_for("litellm", family)
        mode = table["modes"].get(word(self.info.get("mode")))
        if mode:
            raise _Refused(f"it is {mode}, and a pin names one for conversations")
        if not family:
            raise _Refused("its model names no provider")
        also = table["also"].get(family, "")
        dialect = _dialects().get(family, "")
        if responses:
            dialect = _RESPONSES
        preset = table["here"].get(family) or preset
        if url and also:
            return OwnUrl(url.rstrip("/").removesuffix(also) + also)
        if url and dialect:
            return OwnUrl(url, dialect)
        if preset and not url:
            return OfPreset(preset, dialect or _CHAT)
        if family in table["refused"]:
            raise _Refused(table["refused"][family])
        if dialect:
            return Unresolved("there is no api_base")
        if preset and _CHAT in presets.find(preset)["endpoints"]:
            return OwnUrl(url)
        if url:
            raise _Refused(f"which API '{family}' speaks is not known here")
        raise _Refused(f"we have no preset for '{family}'")

    def _written(self, name: str) -> object:
        """Return the model as `models` has it, with what model_info says about it."""
        info = self.info
        given = [kind for kind, field in _KINDS.items() if field in info]
        kinds: list[str] | None = None
        if given:
            kinds = ["text", *(kind for kind in given if info.get(_KINDS[kind]) is True)]
        return written(
            name,
            context=info.get("max_input_tokens"),
            output=info.get("max_output_tokens") or info.get("max_tokens"),
            input=kinds,
            reasoning=info.get("supports_reasoning"),
        )

    def _tell(self, model: str) -> None:
        """Note what is lost of the row."""
        self.builder.tell_fields(self.params, "litellm.params", at=self.shown)
        self.builder.tell_fields(self.info, "litellm.info", at=self.shown)
        for name in _HEADERS:
            headers = mapping(self.params.get(name))
            if headers:
                why = "they belong to a provider here, not to a model: write headers = { … } yourself"
                self.builder.leave_out(f"{name} of {self.shown}: {', '.join(headers)}", why)
        if "*" in model:
            why = "any model of the provider may be pinned here, also one that the pattern excludes"
            self.builder.leave_out(f"the pattern of {self.shown}", why)


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.importers").joinpath("litellm.toml").read_text("utf-8"))


@cache
def _dialects() -> Mapping[str, str]:
    return {family: dialect for dialect, names in _table()["dialects"].items() for family in names.split()}
