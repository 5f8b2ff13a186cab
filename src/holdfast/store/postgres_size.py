"""The size of our tables in PostgreSQL, in bytes with their indexes."""

# Only constants are joined.
# ruff: noqa: S608

from __future__ import annotations

from .relational_upkeep import TABLES

_OVERHEAD = 150
"""Bytes of a journal's line beside its texts, with its share of the indexes."""


def _of(*tables: str) -> str:
    names = ", ".join(f"'{name}'" for name in tables)
    return f"""SELECT COALESCE(SUM(pg_total_relation_size(CAST(name AS regclass))), 0)
        FROM unnest(ARRAY[{names}]) AS named(name)"""


SIZE = _of(*TABLES)
USED = f"""SELECT ({_of(*(name for name in TABLES if name != "journal"))})
    + (SELECT COALESCE(MAX(id) - MIN(id) + 1, 0) FROM journal)
    * (SELECT {_OVERHEAD} + COALESCE(AVG(length(session) + length(request) + length(pin) + length(detail)), 0)
        FROM (SELECT session, request, pin, detail FROM journal ORDER BY id DESC LIMIT 500) AS newest)"""
"""The bytes that rows take. A deleted line keeps its room until the server's own vacuum, so that lines are
counted by their numbers."""
VACUUM = f"VACUUM {', '.join(TABLES)}".encode()
