"""Edits of holdfast.toml that keep its comments and never leave a wrong file.

Each runs under a lock, is parsed before anything is written, and replaces the whole file. A file that cannot
be edited safely is refused with the command that opens it in an editor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from .._files import locked, quoted, write_private
from ..core.config import Config, near
from ..core.errors import ConfigError
from ..core.identity import Pin, Provider, ProviderName
from ..credentials.secrets_file import SecretsFile
from ..values.secret import Secret
from .home import Home, byte_order_mark, read, understood
from .model_tables import with_tables_of
from .positions import Lines
from .toml_draft import Draft
from .toml_spans import Path
from .toml_text import with_line_ends_of


def add_provider(home: Home, name: str, entry: Mapping[str, object]) -> Config:
    """Write `[provider.NAME]` at the end of the file. Raises ConfigError when the name is taken or the entry
    is wrong."""

    def change(draft: Draft, config: Config) -> None:
        if ProviderName(name) in config.providers:
            raise ConfigError(f"provider '{name}' exists already", next_step=f"holdfast provider show {name}")
        draft.append_table(("provider", name), entry)

    return edit(home, change, again="holdfast provider add --help")


def rename_provider(home: Home, old: str, new: str) -> Config:
    """Rename a provider in its tables, in the fallbacks and among the kept keys. Raises ConfigError."""

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, old)
        if ProviderName(new) in config.providers:
            raise ConfigError(f"provider '{new}' exists already", next_step=f"holdfast provider show {new}")
        names: dict[Path, str] = {("provider", old): new}
        strings: dict[Path, str] = {}
        for pin, row in draft.document.get("fallback", {}).items():
            if pin.startswith(f"{old}/"):
                names["fallback", pin] = new + pin.removeprefix(old)
            for position, fallback in enumerate(row["then"]):
                if fallback.startswith(f"{old}/"):
                    strings["fallback", pin, "then", position] = new + fallback.removeprefix(old)
        draft.rename(names, strings)

    # Kept keys are copied first and removed last: after an interruption at any point, the name in the file
    # has its keys.
    secrets = SecretsFile(home.secrets)
    config = edit(home, change, first=lambda: secrets.copy(old, new))
    secrets.remove(old)
    return config


def remove_provider(home: Home, name: str) -> Config:
    """Remove a provider from the file, and its kept keys. Raises ConfigError while a fallback names it."""

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, name)
        draft.remove(("provider", name))

    config = edit(home, change)
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

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, provider)
        keys = ("provider", provider, "keys")
        if len(entry) == 1 and not draft.has_tables(keys):
            draft.add(keys, entry["from"])
        else:
            draft.add(keys, dict(entry))

    def keep() -> None:
        if secret is not None:
            SecretsFile(home.secrets).put(provider, label, secret)

    return edit(home, change, first=keep, again="holdfast key add --help")


def remove_key(home: Home, provider: str, label: str) -> Config:
    """Remove the key of that label, and its secret if it is in secrets.toml. Raises ConfigError."""
    removed: list[str] = []

    def change(draft: Draft, config: Config) -> None:
        keys = known_provider(config, provider).keys
        labels = [key.label for key in keys]
        if label not in labels:
            raise ConfigError(
                f"provider '{provider}' has no key '{label}': {near(label, labels)}",
                next_step=f"holdfast key list {provider}",
            )
        position = labels.index(label)
        removed.append(keys[position].ref)
        draft.remove(("provider", provider, "keys", position))

    config = edit(home, change)
    scheme, _, kept = removed[0].partition(":")
    if scheme == "store":
        SecretsFile(home.secrets).remove(provider, kept)
    return config


def set_account(home: Home, provider: str, label: str, account: str) -> Config:
    """Note the account to which the key of that label belongs. Raises ConfigError."""

    def change(draft: Draft, config: Config) -> None:
        labels = [key.label for key in known_provider(config, provider).keys]
        path = ("provider", provider, "keys", labels.index(label))
        if isinstance(draft.at(path), str):
            draft.put(path, {"from": draft.at(path)})
        draft.put((*path, "account"), account)

    return edit(home, change)


def set_endpoints(
    home: Home, provider: str, given: Mapping[str, object], *, without: Collection[str] = ()
) -> Config:
    """Set endpoints of a provider, a URL or a table for each dialect; its endpoints in other dialects stay,
    but for those in `without`, and so do the other fields of an endpoint's table.

    Beside a second dialect, `url` of the provider and of its keys becomes a row of `endpoints`. Endpoints of
    its preset are written out: a provider with endpoints of its own has none of the preset's. Raises
    ConfigError; nothing is changed then."""

    def change(draft: Draft, config: Config) -> None:
        entry, path = known_provider(config, provider), ("provider", provider)
        table = draft.at(path)
        spoken = str(entry.endpoints[0].dialect)
        if "url" in table and isinstance(given.get(spoken), str) and len(given) == 1:
            draft.put((*path, "url"), given[spoken])
            return
        if "endpoints" not in table:
            _write_endpoints(draft, entry)
        for dialect, endpoint in given.items():
            _put_endpoint(draft, (*path, "endpoints", dialect), endpoint)
        if len(draft.at((*path, "endpoints"))) == 1:
            return
        for position, key in enumerate(table.get("keys", ())):
            if isinstance(key, Mapping) and "url" in key:
                row = {spoken: key["url"]}
                draft.replace_field((*path, "keys", position, "url"), "endpoints", row)
        for dialect in without:
            draft.remove_field((*path, "endpoints", dialect))

    return edit(home, change, again="holdfast provider endpoint --help")


def _write_endpoints(draft: Draft, entry: Provider) -> None:
    """Write `endpoints` in the place of `url` and `dialect`, or those of the preset."""
    path = ("provider", entry.name)
    table = draft.at(path)
    endpoints = {str(endpoint.dialect): endpoint.url for endpoint in entry.endpoints}
    if "dialect" in table:
        draft.remove_field((*path, "dialect"))
    if "url" in table:
        draft.replace_field((*path, "url"), "endpoints", endpoints)
    else:
        draft.put((*path, "endpoints"), endpoints)


def _put_endpoint(draft: Draft, path: tuple[str, ...], endpoint: object) -> None:
    """Set one endpoint; of a table that is there already only the given fields are changed."""
    before = draft.at(path[:-1]).get(path[-1])
    if not isinstance(before, Mapping):
        draft.put(path, endpoint)
        return
    fields = endpoint
    if not isinstance(fields, Mapping):
        fields = {"url": endpoint}
    for field, value in fields.items():
        draft.put((*path, field), value)


def set_models(home: Home, provider: str, models: Sequence[object] | None) -> Config:
    """Declare the models that a provider offers (names or tables), which keep what the file says about them;
    None declares nothing. Raises ConfigError."""

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, provider)
        path = ("provider", provider, "models")
        if models is not None:
            before = draft.at(path[:-1]).get("models", ())
            draft.put(path, with_tables_of(before, models))
        elif "models" in draft.at(path[:-1]):
            draft.remove(path)

    return edit(home, change)


def set_fallback(home: Home, pin: Pin, then: Sequence[Pin], return_after: str | None = None) -> Config:
    """Set the fallbacks of `pin`; an empty list removes them. The other fields of its row stay. Raises
    ConfigError."""

    def change(draft: Draft, _: Config) -> None:
        path = ("fallback", str(pin))
        before = draft.document.get("fallback", {}).get(str(pin))
        if not then:
            if before is not None:
                draft.remove(path)
            return
        row: dict[str, object] = {"then": [str(fallback) for fallback in then]}
        if return_after:
            row["return_after"] = return_after
        if before is None:
            draft.put(path, row)
            return
        for field, value in row.items():
            draft.put((*path, field), value)

    return edit(home, change)


def edit(
    home: Home,
    change: Callable[[Draft, Config], None],
    first: Callable[[], None] | None = None,
    *,
    again: str = "",
) -> Config:
    """Replace holdfast.toml by the draft that `change` makes of it (see `rewrite`). Raises ConfigError, also
    for a layout in which the text does not say afterwards what it should."""

    def changed(text: str, config: Config) -> str:
        draft = Draft(text)
        change(draft, config)
        if not draft.is_right():
            what = f"{home.config} has a layout that cannot be edited safely; nothing was changed"
            raise ConfigError(what, next_step=f"${{EDITOR:-vi}} {quoted(home.config)}")
        return draft.text

    return rewrite(home, changed, first, again=again)


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
        after = with_line_ends_of(before, change(before, config))

        def line_before(path: str) -> str:
            """Return the line of a value that the file already has; a value of the edit has no line yet."""
            if path in lines:
                return lines.locate(path)
            return ""

        refused = f"{home.config} was not changed, because this would be wrong:"
        try:
            config = understood(after, home.config, Lines(after, home.config.name).locate, refused)
        except ConfigError:
            try:
                understood(after, home.config, line_before, refused)
            except ConfigError as error:
                step = again or f"${{EDITOR:-vi}} {quoted(home.config)}"
                raise ConfigError(error.what, problems=error.problems, next_step=step) from None
        if first is not None:
            first()
        write_private(home.config, byte_order_mark(home.config) + after)
        return config


def known_provider(config: Config, name: str) -> Provider:
    """Return the provider of that name. Raises ConfigError when there is none."""
    provider = config.providers.get(ProviderName(name))
    if provider is None:
        raise ConfigError(
            f"no provider is called '{name}': {near(name, config.providers)}",
            next_step="holdfast provider list",
        )
    return provider
