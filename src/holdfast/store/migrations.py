"""The schema as a list of numbered steps, forward only. A released step is never edited: the next change is a
new step at the end.

`{serial}` is replaced by the engine's definition of an automatic key; everything else is SQL that SQLite and
PostgreSQL share. Each step is a tuple of statements, run in one transaction together with the new schema
number (see `sqlite.py`)."""

from __future__ import annotations

from ..core.errors import StoreError
from ..distribution import update_command

SCHEMA = "schema"
"""The name in `meta` of the number of steps that were taken."""
Migration = tuple[str, ...]

READABLE_BY = 5
"""The number of steps that a version must know to work on this store. The later steps only add columns and
tables which it need not know, so that versions can be replaced one by one."""

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE session (
            id TEXT PRIMARY KEY, pin TEXT NOT NULL, chosen_key TEXT,
            stand_in TEXT, stand_in_reason TEXT, stand_in_until DOUBLE PRECISION, kept_key TEXT,
            created_at DOUBLE PRECISION NOT NULL, changed_at DOUBLE PRECISION NOT NULL,
            version BIGINT NOT NULL)""",
        """CREATE TABLE evidence (
            fingerprint TEXT NOT NULL, url TEXT NOT NULL, first_ok DOUBLE PRECISION, last_ok DOUBLE PRECISION,
            last_fault TEXT, last_fault_at DOUBLE PRECISION, PRIMARY KEY (fingerprint, url))""",
        """CREATE TABLE cooldown (
            subject TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL, since DOUBLE PRECISION NOT NULL,
            level BIGINT NOT NULL, fault TEXT NOT NULL)""",
        """CREATE TABLE journal (
            id {serial}, at DOUBLE PRECISION NOT NULL, kind TEXT NOT NULL, session TEXT NOT NULL,
            request TEXT NOT NULL,
            pin TEXT NOT NULL, detail TEXT NOT NULL)""",
        "CREATE INDEX journal_at ON journal (at)",
        "CREATE INDEX journal_session ON journal (session, at)",
        "CREATE INDEX journal_request ON journal (request) WHERE request <> ''",
        """CREATE TABLE lease (name TEXT PRIMARY KEY, owner TEXT NOT NULL, fence BIGINT NOT NULL,
            until DOUBLE PRECISION NOT NULL)""",
        """CREATE TABLE token (
            id TEXT PRIMARY KEY, hash TEXT NOT NULL, label TEXT NOT NULL, session TEXT,
            created_at DOUBLE PRECISION NOT NULL, revoked_at DOUBLE PRECISION)""",
        """CREATE TABLE models (provider TEXT NOT NULL, url TEXT NOT NULL, models TEXT NOT NULL,
            at DOUBLE PRECISION NOT NULL, PRIMARY KEY (provider, url))""",
        "CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
        "INSERT INTO counter (name, value) VALUES ('revision', 0)",
    ),
    (
        """CREATE TABLE provision (name TEXT PRIMARY KEY, state TEXT NOT NULL, version BIGINT NOT NULL,
            record TEXT NOT NULL)""",
    ),
    (
        "ALTER TABLE session ADD COLUMN former TEXT",
        """CREATE TABLE renamed_provider (
            old TEXT PRIMARY KEY, new TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)""",
    ),
    (
        """CREATE TABLE account_object (
            id TEXT PRIMARY KEY, session TEXT NOT NULL, provider TEXT NOT NULL, label TEXT NOT NULL,
            fingerprint TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX account_object_session ON account_object (session, at)",
        "CREATE INDEX account_object_at ON account_object (at)",
    ),
    (
        "ALTER TABLE token ADD COLUMN pins TEXT",
        "ALTER TABLE token ADD COLUMN strict BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE token ADD COLUMN expires_at DOUBLE PRECISION",
        "ALTER TABLE token ADD COLUMN instance TEXT",
        "ALTER TABLE token ADD COLUMN budget TEXT",
    ),
    ("CREATE INDEX session_listed ON session (changed_at DESC, id)",),
    (
        "INSERT INTO counter (name, value) VALUES ('seq', 0)",
        "ALTER TABLE session ADD COLUMN removed_at DOUBLE PRECISION",
        "ALTER TABLE session ADD COLUMN seq BIGINT",
        "CREATE INDEX session_seq ON session (seq) WHERE seq IS NOT NULL",
        "CREATE INDEX session_removed ON session (removed_at) WHERE removed_at IS NOT NULL",
        "ALTER TABLE evidence ADD COLUMN seq BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX evidence_seq ON evidence (seq)",
        "ALTER TABLE cooldown ADD COLUMN seq BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX cooldown_seq ON cooldown (seq)",
        "ALTER TABLE token ADD COLUMN seq BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX token_seq ON token (seq)",
    ),
    (
        """CREATE TABLE usage (
            day TEXT NOT NULL, session TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
            requests BIGINT NOT NULL, tokens_in BIGINT NOT NULL, tokens_out BIGINT NOT NULL,
            PRIMARY KEY (day, session, key, model))""",
        "CREATE INDEX usage_session ON usage (session, day)",
    ),
    (
        "ALTER TABLE token ADD COLUMN new_sessions BIGINT",
        """CREATE TABLE begun (
            day TEXT NOT NULL, token TEXT NOT NULL, sessions BIGINT NOT NULL, PRIMARY KEY (day, token))""",
    ),
    (
        """CREATE TABLE written (
            writer TEXT PRIMARY KEY, number BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL)""",
    ),
)


def check_readable(needed: int, store: str) -> None:
    """Raise StoreError for the store (its name) of a version that needs `needed` steps to be known."""
    if needed > len(MIGRATIONS):
        what = f"{store} was written by a newer Holdfast: "
        what += f"it has schema {needed}, this version knows {len(MIGRATIONS)}"
        raise StoreError(what, next_step=update_command())
