"""Edits of holdfast.toml that keep its comments and never leave a wrong file.

Each runs under a lock, is read back by `core.config` before anything is written, and replaces the file whole.
What cannot be edited safely is left to the user's hands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._files import locked, quoted, write_private
from ..core.config import Config, near
from ..core.errors import ConfigError
from ..core.identity import Pin, Provider, ProviderName
from ..core.secret import Secret
from ..credentials.secrets_file import SecretsFile
from .home import Home, document_of, read, understood
from .positions import Lines, Section, join, sections


def add_provider(home: Home, name: str, entry: Mapping[str, object]) -> Config:
    """Writes `[provider.NAME]` at the end of the file. Raises ConfigError when the name is taken or the entry
    is wrong."""

    def change(text: str, config: Config) -> str:
        if ProviderName(name) in config.providers:
            raise ConfigError(f"provider '{name}' exists already", next_step=f"holdfast provider show {name}")
        return f"{text.rstrip()}\n\n{provider_text(name, entry)}".lstrip()

    return rewrite(home, change, again="holdfast provider add --help")


def provider_text(name: str, entry: Mapping[str, object]) -> str:
    """`[provider.NAME]` as it is written."""
    import tomlkit

    return tomlkit.dumps({"provider": {name: {key: item(value) for key, value in entry.items()}}})


def fallback_text(pin: str, then: Sequence[str]) -> str:
    """Return the fallbacks of a pin as they are written, under their header."""
    import tomlkit

    return tomlkit.dumps({"fallback": {pin: item({"then": list(then)})}})


def rename_provider(home: Home, old: str, new: str) -> Config:
    """The same provider under another name, in its tables, among the fallbacks and among the kept keys."""

    def change(text: str, config: Config) -> str:
        _known(config, old)
        if ProviderName(new) in config.providers:
            raise ConfigError(f"provider '{new}' exists already", next_step=f"holdfast provider show {new}")
        renamed = "".join(_renamed(section, old, new) for section in sections(text))
        wanted = document_of(text, home.config)
        wanted["provider"] = {
            new if name == old else name: entry for name, entry in wanted["provider"].items()
        }
        wanted["fallback"] = {
            _moved(pin, old, new): row | {"then": [_moved(one, old, new) for one in row["then"]]}
            for pin, row in wanted.get("fallback", {}).items()
        }
        return _only(renamed, wanted, home)

    # Kept keys are copied first and forgotten last: an interruption at any point leaves the name in force
    # with its keys.
    secrets = SecretsFile(home.secrets)
    config = rewrite(home, change, first=lambda: secrets.copy(old, new))
    secrets.remove(old)
    return config


def remove_provider(home: Home, name: str) -> Config:
    """Remove the provider from the file, and forget its kept keys. Raises ConfigError while a fallback still
    names it."""

    def change(text: str, config: Config) -> str:
        _known(config, name)
        wanted = document_of(text, home.config)
        del wanted["provider"][name]
        kept = (
            _comments(one) if one.path[:2] == ("provider", name) else "".join(one.lines)
            for one in sections(text)
        )
        return _only("".join(kept), wanted, home)

    config = rewrite(home, change)
    SecretsFile(home.secrets).remove(name)
    return config


def add_key(home: Home, provider: str, entry: Mapping[str, object], secret: Secret | None = None) -> Config:
    """Adds a key: `{"from": reference}` and perhaps label, account, url or endpoints. `secret` goes with a
    `store:` reference and is kept in secrets.toml. Raises ConfigError; nothing is then changed."""
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
        table["keys"].append(item(entry if len(entry) > 1 else entry["from"]))

    def keep() -> None:
        if secret is not None:
            SecretsFile(home.secrets).put(provider, label, secret)

    return rewrite(home, _by_tomlkit(change), first=keep, again="holdfast key add --help")


def remove_key(home: Home, provider: str, label: str) -> Config:
    """Removes the key of that label, and forgets its secret if we kept it."""
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
    """Write endpoints of a provider, a URL or a table for each dialect; what it has in other dialects stays
    as it is.

    A `url` becomes the endpoint that it is, and so does the `url` of a key. Endpoints that are its preset's
    are written out: with one of the user's own it has none of the preset's. Raises ConfigError; nothing is
    then changed."""

    def change(document: Any, config: Config) -> None:
        entry, table = _known(config, provider), document["provider"][provider]
        if "endpoints" in table:
            for dialect, endpoint in given.items():
                _put(table["endpoints"], dialect, item(endpoint))
            return
        comment = table["url"].trivia.comment.lstrip("# ") if "url" in table else ""
        keys: list[Any] = [key for key in table.get("keys", ()) if isinstance(key, Mapping) and "url" in key]
        for key in keys:
            key["endpoints"] = item({str(entry.endpoints[0].dialect): str(key.pop("url"))})
        for field in ("url", "dialect"):
            table.pop(field, None)
        written = item({str(one.dialect): one.url for one in entry.endpoints} | dict(given))
        _put(table, "endpoints", written.comment(comment) if comment else written)

    return rewrite(home, _by_tomlkit(change), again="holdfast provider endpoint --help")


def set_models(home: Home, provider: str, models: Sequence[str] | None) -> Config:
    """Declares which models a provider offers; None declares nothing."""

    def change(document: Any, config: Config) -> None:
        _known(config, provider)
        table = document["provider"][provider]
        if models is None:
            table.pop("models", None)
        else:
            table["models"] = list(models)

    return rewrite(home, _by_tomlkit(change))


def set_fallback(home: Home, pin: Pin, then: Sequence[Pin], return_after: str | None = None) -> Config:
    """List the fallbacks of `pin`; an empty list removes them."""

    def change(document: Any, _: Config) -> None:
        fallback_chain = document.setdefault("fallback", {})
        if then:
            fallback_chain[str(pin)] = item(
                {
                    "then": [str(one) for one in then],
                    **({"return_after": return_after} if return_after else {}),
                }
            )
        else:
            fallback_chain.pop(str(pin), None)

    return rewrite(home, _by_tomlkit(change))


def rewrite(
    home: Home,
    change: Callable[[str, Config], str],
    first: Callable[[], None] | None = None,
    *,
    again: str = "",
) -> Config:
    """Replaces holdfast.toml by what `change` makes of it, if that is right. Raises ConfigError.

    `first` runs when the new text is known to be right and before it is written: what it names must be there
    already. `again` is what to run when the edit is refused."""
    with locked(home.config):
        before = read(home.config)
        lines = Lines(before, home.config.name)
        config = understood(
            before,
            home.config,
            lines.place,
            f"{home.config} is wrong, and is not edited before it is mended:",
        )
        after = change(before, config)
        # A problem is placed where the file already has it; what the edit itself brings has no line yet.
        refused = f"{home.config} was not changed, because this would be wrong:"
        try:
            understood(after, home.config, lambda path: lines.place(path) if path in lines else "", refused)
        except ConfigError as error:
            raise ConfigError(
                error.what,
                problems=error.problems,
                next_step=again or f"${{EDITOR:-vi}} {quoted(home.config)}",
            ) from None
        if first is not None:
            first()
        write_private(home.config, after)
        return understood(after, home.config, Lines(after, home.config.name).place, refused)


def _by_tomlkit(change: Callable[[Any, Config], None]) -> Callable[[str, Config], str]:
    def changed(text: str, config: Config) -> str:
        import tomlkit

        document = tomlkit.parse(text)
        change(document, config)
        return tomlkit.dumps(document)

    return changed


def item(value: object) -> Any:
    """Plain values as TOML that stays on one line."""
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({name: item(one) for name, one in value.items()})
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        array.extend(item(one) for one in value)
        return array
    return value


def _put(table: Any, name: str, value: object) -> None:
    """Set a value; a new one stands before the blank lines and comments at the end, which belong to the next
    table."""
    body, trailing = table.value.body, []
    while name not in table and body and body[-1][0] is None:
        trailing.append(body.pop())
    table[name] = value
    body.extend(reversed(trailing))


def _known(config: Config, name: str) -> Provider:
    found = config.providers.get(ProviderName(name))
    if found is None:
        raise ConfigError(
            f"no provider is called '{name}': {near(name, config.providers)}",
            next_step="holdfast provider list",
        )
    return found


def _only(text: str, wanted: dict[str, Any], home: Home) -> str:
    """`text` if it says exactly what is wanted: a layout that we do not know how to edit is left to the
    user's hands."""
    wanted = {name: table for name, table in wanted.items() if table}
    if {name: table for name, table in document_of(text, home.config).items() if table} != wanted:
        what = f"{home.config} is laid out in a way that cannot be edited safely; nothing was changed"
        raise ConfigError(what, next_step=f"${{EDITOR:-vi}} {quoted(home.config)}")
    return text


def _renamed(section: Section, old: str, new: str) -> str:
    text = "".join(section.lines)
    if section.path[:2] == ("provider", old):
        return re.sub(
            rf"""(\[\s*provider\s*\.\s*)(["']?){re.escape(old)}\2""", rf"\g<1>{_key(new)}", text, count=1
        )
    if section.path[:1] == ("fallback",):
        return re.sub(rf"""(["']){re.escape(old)}/""", rf"\g<1>{new}/", text)
    return text


def _moved(pin: str, old: str, new: str) -> str:
    return f"{new}/{pin.removeprefix(f'{old}/')}" if pin.startswith(f"{old}/") else pin


def _key(name: str) -> str:
    return join("", name)


def _comments(section: Section) -> str:
    """The comment that stands right above the next header, and so belongs to it."""
    kept: list[str] = []
    for line in reversed(section.lines):
        if not line.lstrip().startswith("#"):
            break
        kept.insert(0, line)
    return "".join(kept)
