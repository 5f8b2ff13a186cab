"""secrets.toml: the keys that the user asked us to keep, one table per provider, one line per label, and the
grants of sign-ins, a table `oauth:NAME` each; mode 0600.

It is written whole and under a lock, so that two processes lose nothing. A file that cannot be understood is
set aside, never read as empty and never overwritten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import cannot, locked, quoted, stamp, write_private
from ..core.errors import ConfigError
from ..core.secret import Secret

Sections = dict[str, dict[str, Secret]]
_GRANT = "oauth:"  # no provider's name has a colon
_HEAD = (
    "# Keys kept by Holdfast; `holdfast key add` and `holdfast key remove` edit this file. Never share it.\n"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sign-in left us: a token in use and the one that renews it. `id` is that of the sign-in,
    `generation` counts its renewals; times are epoch seconds; `ended` says why no renewal will succeed any
    more."""

    id: str
    generation: int = 0
    access: Secret | None = None
    refresh: Secret | None = None
    issued_at: float = 0.0
    expires_at: float | None = None
    ended: str = ""


class SecretsFile:
    """The store behind `store:LABEL`. Read once and kept until the file's stamp changes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._sections: Sections = {}
        self._grants: dict[str, Grant] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether what was read last is still what stands in the file."""
        return self._stamp is not None and stamp(self.path) == self._stamp

    def get(self, provider: str, label: str) -> Secret | None:
        """The secret as it stands in the file. Raises ConfigError for a file that cannot be read or
        understood."""
        return self._read().get(provider, {}).get(label)

    def held(self, provider: str, label: str) -> Secret | None:
        """What `get` would say, if that is known without reading the file."""
        return self._sections.get(provider, {}).get(label) if self.is_fresh else None

    def labels(self, provider: str) -> tuple[str, ...]:
        """The labels kept for a provider."""
        return tuple(self._read().get(provider, {}))

    def grant(self, name: str) -> Grant | None:
        """What the sign-in `name` left, as it stands in the file."""
        self._read()
        return self._grants.get(name)

    def put_grant(self, name: str, grant: Grant | None) -> None:
        """Keeps what a sign-in left; durable when this returns. None: forgets it."""

        def change(_: Sections, grants: dict[str, Grant]) -> None:
            grants.pop(name, None)
            if grant is not None:
                grants[name] = grant

        self._change(change)

    def check_writable(self) -> None:
        """Writes the file as it stands, so that a full disk is known before something that cannot be had
        again is asked for. Raises ConfigError."""
        with locked(self.path):
            self._write(self._read(), self._grants)

    def put(self, provider: str, label: str, secret: Secret) -> None:
        """Keeps `secret`, replacing what stood under this label."""
        self._change(lambda sections, _: sections.setdefault(provider, {}).update({label: secret}))

    def remove(self, provider: str, label: str | None = None) -> None:
        """Forgets one label of a provider, or all of them. Nothing happens when there is none."""
        self._change(
            lambda sections, _: (
                sections.get(provider, {}).pop(label, None) if label else sections.pop(provider, None)
            )
        )

    def copy(self, old: str, new: str) -> None:
        """Keeps all labels of `old` under `new` as well: the first half of a rename that loses nothing when
        it is interrupted."""
        self._change(
            lambda sections, _: sections.update(
                {new: {**sections.get(new, {}), **sections[old]}} if old in sections else {}
            )
        )

    def quarantined(self) -> list[Path]:
        """Files that were set aside because they could not be understood."""
        return sorted(self.path.parent.glob(f"{self.path.name}.corrupt-*"))

    def _change(self, change: Callable[[Sections, dict[str, Grant]], object]) -> None:
        with locked(self.path):
            before, grants_before = self._read(), self._grants
            sections, grants = (
                {provider: dict(labels) for provider, labels in before.items()},
                dict(grants_before),
            )
            change(sections, grants)
            if sections != before or grants != grants_before:
                self._write(sections, grants)

    def _write(self, sections: Sections, grants: Mapping[str, Grant]) -> None:
        tables: dict[str, Mapping[str, object]] = {
            **sections,
            **{_GRANT + name: _told(grant) for name, grant in grants.items()},
        }
        text = _HEAD + "".join(_section(name, values) for name, values in tables.items() if values)
        try:
            _parse(text.encode().decode())
        except (
            ValueError
        ):  # half a character, a number without end: no file is better than one that nobody can read
            what = f"{self.path} cannot hold one of the names or numbers to be kept; nothing was changed"
            raise ConfigError(what, next_step="holdfast key list") from None
        write_private(self.path, text)

    def _read(self) -> Sections:
        if self.is_fresh:
            return self._sections
        now = stamp(self.path)
        try:
            text = self.path.read_text("utf-8")
            (self._sections, self._grants), self._stamp = _parse(text), now
        except FileNotFoundError:
            self._sections, self._grants, self._stamp = {}, {}, None
        except OSError as error:
            raise cannot("read", self.path, error) from None
        except ValueError:
            if stamp(self.path) != now:  # somebody has mended or replaced it meanwhile
                return self._read()
            raise self._set_aside() from None
        return self._sections

    def _set_aside(self) -> ConfigError:
        aside = self.path.with_name(
            f"{self.path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(self._clock()))}"
        )
        while aside.exists():
            aside = aside.with_name(aside.name + "-again")
        try:
            os.rename(self.path, aside)
        except OSError as error:
            return ConfigError(
                f"{self.path} cannot be understood and cannot be set aside ({error.strerror})",
                next_step=f"${{EDITOR:-vi}} {quoted(self.path)}",
            )
        what = f"{self.path} could not be understood and was set aside as {aside}; no key in it is lost"
        return ConfigError(
            what, next_step=f"${{EDITOR:-vi}} {quoted(aside)} && mv {quoted(aside)} {quoted(self.path)}"
        )


def _parse(text: str) -> tuple[Sections, dict[str, Grant]]:
    """What stands in `text`. Raises ValueError without a word of it: what stands there is secret."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError("not TOML") from None
    grants = {
        name.removeprefix(_GRANT): _grant(table)
        for name, table in document.items()
        if name.startswith(_GRANT)
    }
    keys = {
        name: {label: Secret(value) for label, value in _strings(table)}
        for name, table in document.items()
        if not name.startswith(_GRANT)
    }
    return keys, grants


def _strings(labels: object) -> list[tuple[str, str]]:
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("not a table of strings")
    return list(labels.items())


_GRANT_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "generation": int,
    "access": str,
    "refresh": str,
    "issued_at": (int, float),
    "expires_at": (int, float),
    "ended": str,
}


def _grant(table: Any) -> Grant:
    if (
        not isinstance(table, dict)
        or not all(isinstance(value, _GRANT_FIELDS.get(name, ())) for name, value in table.items())
        or "id" not in table
    ):
        raise ValueError("not a grant")
    fields: dict[str, Any] = {
        name: Secret(value) if name in ("access", "refresh") else value for name, value in table.items()
    }
    return Grant(**fields)


def _told(grant: Grant) -> dict[str, object]:
    return {name: value for name in _GRANT_FIELDS if (value := getattr(grant, name)) not in (None, "")}


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = "".join(
        f"{_written(label)} = {_written(one.reveal() if isinstance(one, Secret) else one)}\n"
        for label, one in values.items()
    )
    return f"\n[{_written(name)}]\n{lines}"


def _written(value: object) -> str:
    """A value in TOML: as in JSON, but with characters in one piece, and without a naked DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
