"""secrets.toml (mode 0600): the keys that the user asked us to keep, one table for each provider, one line
for each label; and the grants of sign-ins, each in a table `oauth:NAME`.

The whole file is replaced, under a lock, so that two processes lose nothing. A file that cannot be parsed is
renamed and kept, never read as empty and never overwritten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from .._files import (
    NotRead,
    cannot,
    changes_soon,
    locked,
    quoted,
    read_regular,
    reserving,
    stamp,
    write_private,
)
from ..core.errors import ConfigError
from ..values.secret import Secret
from .grant import Grant, from_toml, to_toml

_LOOKS = 20
"""How often a file is looked at that is being written."""
Sections = dict[str, dict[str, Secret]]
Put = Callable[[bytes], None]
"""Writes a file's content into space that was reserved. Raises OSError."""
_ROOM = 128 * 1024
"""Bytes by which a renewal may lengthen the file: its answer has at most half as many."""
_GRANT = "oauth:"  # no provider's name has a colon
_HEAD = (
    "# Keys kept by Holdfast; `holdfast key add` and `holdfast key remove` edit this file. Never share it.\n"
)


class SecretsFile:
    """The file secrets.toml, behind `store:LABEL`. Read once and cached until the file's stamp changes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._sections: Sections = {}
        self._grants: dict[str, Grant] = {}

    @property
    def is_fresh(self) -> bool:
        """True while the file is unchanged since it was read."""
        return self._stamp is not None and stamp(self.path) == self._stamp

    def get(self, provider: str, label: str) -> Secret | None:
        """Return the secret of that label, or None. Raises ConfigError for a file that cannot be read or
        parsed."""
        return self._read().get(provider, {}).get(label)

    def cached(self, provider: str, label: str) -> Secret | None:
        """Return the secret if that is possible without reading the file, else None."""
        if not self.is_fresh:
            return None
        return self._sections.get(provider, {}).get(label)

    def labels(self, provider: str) -> tuple[str, ...]:
        """Return the labels kept for a provider. Raises ConfigError."""
        return tuple(self._read().get(provider, {}))

    def grant(self, name: str) -> Grant | None:
        """Return the grant of the sign-in `name` in the file, or None. Raises ConfigError."""
        self._read()
        return self._grants.get(name)

    def glance(self, name: str) -> Grant | None:
        """Return the grant of the sign-in `name`, None where the file cannot be read or parsed just now:
        other than by `grant`, it is not set aside, since another program may be writing it."""
        with suppress(ConfigError, OSError, NotRead, ValueError):
            if not self.is_fresh:
                now = stamp(self.path)
                text = read_regular(self.path, ours=True).decode("utf-8-sig")
                if not text:
                    return None
                self._take(text, now)
            return self._grants.get(name)
        return None

    def put_grant(self, name: str, grant: Grant | None) -> Grant | None:
        """Keep the grant of a new sign-in, whatever there is; it is on the disk when this returns. None
        removes it. Return what it replaces. Raises ConfigError."""
        before: list[Grant | None] = []

        def change(_: Sections, grants: dict[str, Grant]) -> None:
            before.append(grants.pop(name, None))
            if grant is not None:
                grants[name] = grant

        self._change(change)
        return before[0]

    def replace_grant(self, name: str, grant: Grant, put: Put | None = None) -> Grant | None:
        """Keep a newer state of a sign-in in the place of an older one, on the disk when this returns. Change
        nothing where the file has no older state of it: it was removed, replaced by another sign-in, or
        renewed by somebody else. Return what the file has then. `put` writes the file's content into space
        that was reserved. Raises ConfigError."""
        kept: list[Grant | None] = []

        def change(_: Sections, grants: dict[str, Grant]) -> None:
            if grant.supersedes(grants.get(name)):
                grants[name] = grant
            kept.append(grants.get(name))

        self._change(change, put)
        return kept[0]

    def sign_in_lock(self, name: str, patience: float) -> AbstractContextManager[None]:
        """Lock a sign-in against everybody who renews or replaces it, beside the real file: homes whose
        secrets.toml is a link to one file share its sign-ins. Raises Busy after `patience` seconds,
        ConfigError."""
        return locked(self.beside(f"oauth.{name}"), patience)

    def beside(self, name: str) -> Path:
        """Return the path of this name beside the real file, to which secrets.toml may be a link."""
        return Path(os.path.realpath(self.path)).with_name(name)

    @contextmanager
    def reserved(self, name: str) -> Iterator[Put]:
        """Reserve space for a write of the grant of `name`, whose lock the caller has, so that it succeeds
        when the disk is full by then. Raises ConfigError."""
        size = _ROOM
        with suppress(OSError):
            size += self.path.stat().st_size
        with ExitStack() as held:
            try:
                put = held.enter_context(reserving(self.path, self.beside(f"oauth.{name}"), size))
            except OSError as error:
                raise cannot("write", self.path, error) from None
            yield put

    def put(self, provider: str, label: str, secret: Secret) -> None:
        """Keep `secret` under this label, in the place of an older one. Raises ConfigError."""

        def change(sections: Sections, _: dict[str, Grant]) -> None:
            sections.setdefault(provider, {})[label] = secret

        self._change(change)

    def remove(self, provider: str, label: str | None = None) -> None:
        """Remove one label of a provider, or all of them; do nothing when there is none. Raises
        ConfigError."""

        def change(sections: Sections, _: dict[str, Grant]) -> None:
            if label:
                sections.get(provider, {}).pop(label, None)
            else:
                sections.pop(provider, None)

        self._change(change)

    def copy(self, old: str, new: str) -> None:
        """Copy all labels of `old` to `new`: the first half of a rename that loses nothing when it is
        interrupted. Raises ConfigError."""

        def change(sections: Sections, _: dict[str, Grant]) -> None:
            if old in sections:
                sections[new] = {**sections.get(new, {}), **sections[old]}

        self._change(change)

    def quarantined(self) -> list[Path]:
        """Return the files that were renamed because they could not be parsed, in the order of their
        names."""
        return sorted(self.path.parent.glob(f"{self.path.name}.corrupt-*"))

    def aside(self) -> str:
        """Return a remark about the last file that was renamed; nothing if there is none."""
        aside = self.quarantined()
        if not aside:
            return ""
        return f" (an older file that could not be parsed is kept as {aside[-1]})"

    def _change(self, change: Callable[[Sections, dict[str, Grant]], None], put: Put | None = None) -> None:
        """Call `change` with copies of what the file has, and write them if they differ."""
        with locked(self.path):
            before, grants_before = self._read(), self._grants
            sections = {provider: dict(labels) for provider, labels in before.items()}
            grants = dict(grants_before)
            change(sections, grants)
            if sections != before or grants != grants_before:
                self._write(sections, grants, put)

    def _write(self, sections: Sections, grants: Mapping[str, Grant], put: Put | None) -> None:
        tables: dict[str, Mapping[str, object]] = dict(sections)
        for name, grant in grants.items():
            tables[_GRANT + name] = to_toml(grant)
        text = _HEAD + "".join(_section(name, values) for name, values in tables.items() if values)
        try:
            # A name may have half a character, a number too many digits: never write a file that nothing
            # reads.
            _parse(text.encode().decode())
        except ValueError:
            what = f"{self.path} cannot hold one of the names or numbers to be kept; nothing was changed"
            raise ConfigError(what, next_step="holdfast key list") from None
        if put is not None:
            with suppress(OSError):
                put(text.encode())
                return
        write_private(self.path, text)

    def _read(self, looks: int = _LOOKS) -> Sections:
        """Return the keys in the file, read again if it has changed; one that is empty or cannot be parsed is
        looked at again, since somebody may be writing it. Raises ConfigError."""
        if self.is_fresh:
            return self._sections
        now = stamp(self.path)
        try:
            text = read_regular(self.path, ours=True).decode("utf-8-sig")
            if not text and looks and changes_soon(self.path, now):
                return self._read(looks - 1)
            self._take(text, now)
        except FileNotFoundError:
            self._sections, self._grants, self._stamp = {}, {}, None
        except NotRead as reason:
            raise ConfigError(f"{self.path} is {reason}", next_step=f"ls -ld {quoted(self.path)}") from None
        except OSError as error:
            raise cannot("read", self.path, error) from None
        except ValueError:
            if looks and changes_soon(self.path, now):
                return self._read(looks - 1)
            raise self._set_aside() from None
        return self._sections

    def _take(self, text: str, now: tuple[int, int, int] | None) -> None:
        (self._sections, self._grants), self._stamp = _parse(text), now

    def _set_aside(self) -> ConfigError:
        """Rename a file that cannot be parsed. Return the error that says so."""
        now = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._clock()))
        aside = self.path.with_name(f"{self.path.name}.corrupt-{now}")
        while aside.exists():
            aside = aside.with_name(aside.name + "-again")
        try:
            os.rename(self.path, aside)
        except OSError as error:
            return ConfigError(
                f"{self.path} cannot be parsed and cannot be set aside ({error.strerror})",
                next_step=f"${{EDITOR:-vi}} {quoted(self.path)}",
            )
        what = f"{self.path} could not be parsed and was set aside as {aside}; no key in it is lost"
        return ConfigError(
            what, next_step=f"${{EDITOR:-vi}} {quoted(aside)} && mv {quoted(aside)} {quoted(self.path)}"
        )


def _parse(text: str) -> tuple[Sections, dict[str, Grant]]:
    """Return the keys and grants in `text`. Raises ValueError, whose message repeats no part of it."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ValueError("not TOML") from None
    sections: Sections = {}
    grants: dict[str, Grant] = {}
    for name, table in document.items():
        if name.startswith(_GRANT):
            grants[name.removeprefix(_GRANT)] = from_toml(table)
        else:
            sections[name] = _labels(table)
    return sections, grants


def _labels(table: object) -> dict[str, Secret]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ValueError("not a table of strings")
    return {label: Secret(value) for label, value in table.items()}


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = [f"\n[{_quoted(name)}]\n"]
    for label, value in values.items():
        plain = value
        if isinstance(value, Secret):
            plain = value.reveal()
        lines.append(f"{_quoted(label)} = {_quoted(plain)}\n")
    return "".join(lines)


def _quoted(value: object) -> str:
    """Return a string or a number as TOML: as in JSON, but without escapes of non-ASCII characters, and with
    DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
