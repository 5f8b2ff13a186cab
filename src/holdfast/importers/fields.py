"""The fields of other programs' tables: which of them an importer reads, which make no difference here, and
which it tells about. fields.toml lists them; a field that is not in the list is told too, so that none can
vanish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_UNKNOWN = "Holdfast does not know this setting"


@dataclass(frozen=True, slots=True)
class Known:
    """The known fields of one kind of table. `reasons` says why a field cannot be carried; its row "" is for
    all others."""

    silent: frozenset[str]
    reasons: Mapping[str, str]

    def rest(self, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Yield the fields to tell about, each with the reason. A field that is empty or off says nothing."""
        for name, value in table.items():
            if value in (None, "", False, [], {}):
                continue
            if name not in self.silent:
                yield name, self.reasons.get(name) or self.reasons.get("", _UNKNOWN)


def known(kind: str) -> Known:
    """Return what is known of a kind of table: PROGRAM.TABLE in fields.toml."""
    program, _, name = kind.partition(".")
    row = _rows()[program][name]
    silent = f"{row.get('carried', '')} {row.get('harmless', '')}".split()
    return Known(frozenset(silent), row.get("told", {}))


@cache
def _rows() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.importers").joinpath("fields.toml").read_text("utf-8"))
