"""Edits of holdfast.toml that keep its comments and never leave a wrong file.

Each runs under a lock, is parsed before anything is written, and replaces the whole file. A file that cannot
be edited safely is refused with the command that opens it in an editor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from .._files import locked, quoted, write_private
from ..core.config import Config, near
from ..core.errors import ConfigError
from ..core.identity import Pin, Provider, ProviderName
from ..core.secret import Secret
from ..credentials.secrets_file import SecretsFile
from .home import Home, document_of, read, understood
from .positions import Lines, sections
from .toml_text import document_renamed, item, last_comment, provider_text, put, section_renamed


def add_provider(home: Home, name: str, entry: Mapping[str, object]) -> Config:
    """Write `[provider.NAME]` at the end of the file. Raises ConfigError when the name is taken or the entry
    is wrong."""

    def change(text: str, config: Config) -> str:
        if ProviderName(name) in config.providers:
            raise ConfigError(f"provider '{name}' exists already", next_step=f"holdfast provider show {name}")
        return f"{text.rstrip()}\n\n{provider_text(name, entry)}".lstrip()

    return rewrite(home, change, again="holdfast provider add --help")


def rename_provider(home: Home, old: str, new: str) -> Config:
    """Rename a provider in its tables, in the fallbacks and among the kept keys. Raises ConfigError."""

    def change(text: str, config: Config) -> str:
        _known(config, old)
        if ProviderName(new) in config.providers:
            raise ConfigError(f"provider '{new}' exists already", next_step=f"holdfast provider show {new}")
        renamed = "".join(section_renamed(section, old, new) for section in sections(text))
        return _checked(renamed, document_renamed(document_of(text, home.config), old, new), home)

    # Kept keys are copied first and removed last: after an interruption at any point, the name in the file
    # has its keys.
    secrets = SecretsFile(home.secrets)
    config = rewrite(home, change, first=lambda: secrets.copy(old, new))
    secrets.remove(old)
    return config


def remove_provider(home: Home, name: str) -> Config:
    """Remove a provider from the file, and its kept keys. Raises ConfigError while a fallback names it."""

    def change(text: str, config: Config) -> str:
        _known(config, name)
        wanted = document_of(text, home.config)
        del wanted["provider"][name]
        kept = ""
        for section in sections(text):
            if section.path[:2] == ("provider", name):
                kept += last_comment(section)
            else:
                kept += "".join(section.lines)
        return _checked(kept, wanted, home)

    config = rewrite(home, change)
    SecretsFile(home.secrets).remove(name)
    return config


def add_key(home: Home, provider: str, entry: Mapping[str, object], secret: Secret | None = None) -> Config:
    """Add a key: `{"from": reference}` and perhaps label, account, url or endpoints. `secret` belongs to a
    `store:` reference and is kept in secrets.toml. Raises ConfigError; nothing is changed then."""
    scheme, _, label = str(entry["from"]).partition(":")
    if (secret is not None) != (scheme == "store"):
        raise ConfigError(
            "a secret is kept under a store: reference, and only there",
            next_step=f"holdfast key add {provider} --from store:LABEL",
        )

    def change(document: Any, config: Config) -> None:
        _known(config, provider)
        table = document["provider"][provider]
        table.setdefault("keys", [])
        key: object = entry
        if len(entry) == 1:
            key = entry["from"]
        table["keys"].append(item(key))

    def keep() -> None:
        if secret is not None:
            SecretsFile(home.secrets).put(provider, label, secret)

    return rewrite(home, _by_tomlkit(change), first=keep, again="holdfast key add --help")


def remove_key(home: Home, provider: str, label: str) -> Config:
    """Remove the key of that label, and its secret if it is in secrets.toml. Raises ConfigError."""
    removed: list[str] = []

    def change(document: Any, config: Config) -> None:
        labels = [key.label for key in _known(config, provider).keys]
        if label not in labels:
            raise ConfigError(
                f"provider '{provider}' has no key '{label}': {near(label, labels)}",
                next_step=f"holdfast key list {provider}",
            )
        removed.append(config.providers[ProviderName(provider)].keys[labels.index(label)].ref)
        del document["provider"][provider]["keys"][labels.index(label)]

    config = rewrite(home, _by_tomlkit(change))
    scheme, _, kept = removed[0].partition(":")
    if scheme == "store":
        SecretsFile(home.secrets).remove(provider, kept)
    return config


def set_endpoints(home: Home, provider: str, given: Mapping[str, object]) -> Config:
    """Set endpoints of a provider, a URL or a table for each dialect; its endpoints in other dialects stay.

    `url` of the provider and of its keys becomes a row of `endpoints`. Endpoints of its preset are written
    out: a provider with endpoints of its own has none of the preset's. Raises ConfigError; nothing is changed
    then."""

    def change(document: Any, config: Config) -> None:
        entry, table = _known(config, provider), document["provider"][provider]
        if "endpoints" in table:
            for dialect, endpoint in given.items():
                put(table["endpoints"], dialect, item(endpoint))
        else:
            _write_endpoints(table, entry, given)

    return rewrite(home, _by_tomlkit(change), again="holdfast provider endpoint --help")


def _write_endpoints(table: Any, entry: Provider, given: Mapping[str, object]) -> None:
    """Replace `url` and `dialect` of a provider and its keys by `endpoints`. The comment beside `url`
    stays."""
    for key in table.get("keys", ()):
        if isinstance(key, MutableMapping) and "url" in key:
            key["endpoints"] = item({str(entry.endpoints[0].dialect): str(key.pop("url"))})
    endpoints = item({str(endpoint.dialect): endpoint.url for endpoint in entry.endpoints} | dict(given))
    if "url" in table:
        comment = table["url"].trivia.comment.lstrip("# ")
        if comment:
            endpoints.comment(comment)
    for field in ("url", "dialect"):
        table.pop(field, None)
    put(table, "endpoints", endpoints)


def set_models(home: Home, provider: str, models: Sequence[str] | None) -> Config:
    """Declare the models that a provider offers; None declares nothing. Raises ConfigError."""

    def change(document: Any, config: Config) -> None:
        _known(config, provider)
        table = document["provider"][provider]
        if models is None:
            table.pop("models", None)
        else:
            table["models"] = list(models)

    return rewrite(home, _by_tomlkit(change))


def set_fallback(home: Home, pin: Pin, then: Sequence[Pin], return_after: str | None = None) -> Config:
    """Set the fallbacks of `pin`; an empty list removes them. Raises ConfigError."""

    def change(document: Any, _: Config) -> None:
        fallbacks = document.setdefault("fallback", {})
        if not then:
            fallbacks.pop(str(pin), None)
            return
        row: dict[str, object] = {"then": [str(fallback) for fallback in then]}
        if return_after:
            row["return_after"] = return_after
        fallbacks[str(pin)] = item(row)

    return rewrite(home, _by_tomlkit(change))


def rewrite(
    home: Home,
    change: Callable[[str, Config], str],
    first: Callable[[], None] | None = None,
    *,
    again: str = "",
) -> Config:
    """Replace holdfast.toml by the result of `change`, if that is correct. Raises ConfigError.

    `first` is called when the new text is known to be correct, before it is written: for the secrets that it
    refers to. `again` is the command to suggest when the edit is refused."""
    with locked(home.config):
        before = read(home.config)
        lines = Lines(before, home.config.name)
        otherwise = f"{home.config} is wrong, and is not edited before it is corrected:"
        config = understood(before, home.config, lines.locate, otherwise)
        after = change(before, config)

        def line_before(path: str) -> str:
            """Return the line of a value that the file already has; a value of the edit has no line yet."""
            if path in lines:
                return lines.locate(path)
            return ""

        refused = f"{home.config} was not changed, because this would be wrong:"
        try:
            understood(after, home.config, line_before, refused)
        except ConfigError as error:
            raise ConfigError(
                error.what,
                problems=error.problems,
                next_step=again or f"${{EDITOR:-vi}} {quoted(home.config)}",
            ) from None
        if first is not None:
            first()
        write_private(home.config, after)
        return understood(after, home.config, Lines(after, home.config.name).locate, refused)


def _by_tomlkit(change: Callable[[Any, Config], None]) -> Callable[[str, Config], str]:
    """Turn a change of a tomlkit document into a change of its text."""

    def changed(text: str, config: Config) -> str:
        import tomlkit

        document = tomlkit.parse(text)
        change(document, config)
        return tomlkit.dumps(document)

    return changed


def _known(config: Config, name: str) -> Provider:
    """Return the provider of that name. Raises ConfigError when there is none."""
    provider = config.providers.get(ProviderName(name))
    if provider is None:
        raise ConfigError(
            f"no provider is called '{name}': {near(name, config.providers)}",
            next_step="holdfast provider list",
        )
    return provider


def _checked(text: str, wanted: dict[str, Any], home: Home) -> str:
    """Return `text` if it is the wanted document. Raises ConfigError for a layout that was edited wrongly."""
    if _without_empty(document_of(text, home.config)) != _without_empty(wanted):
        what = f"{home.config} has a layout that cannot be edited safely; nothing was changed"
        raise ConfigError(what, next_step=f"${{EDITOR:-vi}} {quoted(home.config)}")
    return text


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table for name, table in document.items() if table}
