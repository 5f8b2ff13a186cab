"""All statements of the store, with named parameters (`:name`), in the SQL that SQLite and PostgreSQL share:
upserts, but no engine's own functions; `CASE` because one has `max()` and the other `greatest()`, `substr`
because LIKE would read `_` as a wildcard.

Columns keep the names of older versions: `stand_in` is the active fallback."""

# Only constants of this file are joined, every value is a parameter; a gateway token's SQL is no password.
# ruff: noqa: S608, S105

from __future__ import annotations

from ..core.changes import CLOCK_SLACK

_LONGEST_REQUEST = 86_400.0
"""Seconds: no request lasts longer, so that one that began so long before a choice began by another clock."""


def _set_back(stored: str, new: str) -> str:
    """Return the condition that a stored time is so far after a new one that the clock was set back since."""
    return f"{stored} > {new} + {CLOCK_SLACK}"


BUMP = "UPDATE counter SET value = value + 1 WHERE name = 'revision'"
REVISION = "SELECT value FROM counter WHERE name = 'revision'"

# Sessions: a row is the user's choice; only `version` decides who may overwrite it.
_SESSION = (
    "id, pin, chosen_key, stand_in, stand_in_reason, stand_in_until, kept_key, "
    "created_at, changed_at, version, former"
)
SESSION_COLUMNS = tuple(_SESSION.split(", "))
SESSION = f"SELECT {_SESSION} FROM session WHERE id = :id"
SESSIONS = f"SELECT {_SESSION} FROM session ORDER BY changed_at DESC, id"
_SESSION_VALUES = ", ".join(f":{name}" for name in SESSION_COLUMNS)
_SESSION_CHANGES = ", ".join(f"{name} = :{name}" for name in SESSION_COLUMNS[1:])
SESSION_INSERT = f"INSERT INTO session ({_SESSION}) VALUES ({_SESSION_VALUES}) ON CONFLICT (id) DO NOTHING"
SESSION_UPDATE = f"UPDATE session SET {_SESSION_CHANGES} WHERE id = :id AND version = :expect"
SESSION_DELETE = "DELETE FROM session WHERE id = :id"
_ITS_CHOICE = f"id = :session AND (changed_at <= :at OR changed_at > :at + {_LONGEST_REQUEST})"
START_FALLBACK = f"""UPDATE session
    SET stand_in = :stand_in, stand_in_reason = :stand_in_reason, stand_in_until = :stand_in_until
    WHERE {_ITS_CHOICE}"""
END_FALLBACK = f"""UPDATE session SET stand_in = NULL, stand_in_reason = NULL, stand_in_until = NULL
    WHERE {_ITS_CHOICE} AND stand_in IS NOT NULL"""
KEEP_KEY = f"""UPDATE session SET kept_key = :label
    WHERE {_ITS_CHOICE} AND (kept_key IS NULL OR kept_key <> :label)"""
# Key labels that older versions took from a key's position; the mark says that the store has none any more.
POSITIONS_REPLACED = "SELECT value FROM counter WHERE name = 'positions_replaced'"
MARK_POSITIONS_REPLACED = "INSERT INTO counter (name, value) VALUES ('positions_replaced', 1)"
WITH_POSITIONS = (
    f"SELECT {_SESSION} FROM session WHERE substr(chosen_key, 1, 1) = 'k' OR substr(kept_key, 1, 1) = 'k'"
)
CHANGED_BY_RENAMING = """SELECT DISTINCT session.id FROM session JOIN journal ON journal.session = session.id
    WHERE journal.kind = 'renamed' AND journal.at >= session.changed_at"""
RELABEL = "UPDATE session SET chosen_key = :chosen_key, kept_key = :kept_key WHERE id = :id"
# Providers that had another name: `old` may be renamed again, and the new name may become an old one.
RENAMED_FOLLOW = "UPDATE renamed_provider SET new = :new WHERE new = :old"
RENAMED_SAVE = """INSERT INTO renamed_provider (old, new, at) VALUES (:old, :new, :at)
    ON CONFLICT (old) DO UPDATE SET new = excluded.new, at = excluded.at"""
RENAMED_BACK = "DELETE FROM renamed_provider WHERE old = new"
RENAMED_PRUNE = """DELETE FROM renamed_provider
    WHERE old NOT IN (SELECT old FROM renamed_provider ORDER BY at DESC, old LIMIT 100)"""
NEW_NAME = "SELECT new FROM renamed_provider WHERE old = :old"

# Evidence and cooldowns: time decides, not the order in which processes write, and no time to come.
EVIDENCE = "SELECT fingerprint, url, first_ok, last_ok, last_fault, last_fault_at FROM evidence"
WORKED = f"""INSERT INTO evidence (fingerprint, url, first_ok, last_ok) VALUES (:fingerprint, :url, :at, :at)
    ON CONFLICT (fingerprint, url) DO UPDATE SET
        first_ok = CASE WHEN {_set_back("evidence.first_ok", "excluded.first_ok")} THEN excluded.first_ok
            ELSE COALESCE(evidence.first_ok, excluded.first_ok) END,
        last_ok = CASE WHEN {_set_back("evidence.last_ok", "excluded.last_ok")} THEN excluded.last_ok
            WHEN evidence.last_ok > excluded.last_ok THEN evidence.last_ok ELSE excluded.last_ok END"""
FAILED = f"""INSERT INTO evidence (fingerprint, url, last_fault, last_fault_at)
    VALUES (:fingerprint, :url, :kind, :at)
    ON CONFLICT (fingerprint, url) DO UPDATE SET last_fault = excluded.last_fault,
        last_fault_at = excluded.last_fault_at
    WHERE evidence.last_fault_at IS NULL OR evidence.last_fault_at <= excluded.last_fault_at
        OR {_set_back("evidence.last_fault_at", "excluded.last_fault_at")}"""
COOLDOWNS = "SELECT subject, until, since, level, fault FROM cooldown WHERE until > :oldest"
COOLED = f"""INSERT INTO cooldown (subject, until, since, level, fault)
    VALUES (:subject, :until, :since, :level, :fault)
    ON CONFLICT (subject) DO UPDATE SET
        until = CASE WHEN cooldown.level = excluded.level AND cooldown.until > excluded.until
            AND cooldown.since <= excluded.since THEN cooldown.until ELSE excluded.until END,
        since = excluded.since, level = excluded.level, fault = excluded.fault
    WHERE cooldown.since <= excluded.since OR {_set_back("cooldown.since", "excluded.since")}"""
REFUTED = f"DELETE FROM cooldown WHERE subject = :subject AND (since <= :at OR {_set_back('since', ':at')})"
FORGET_EVIDENCE = "DELETE FROM evidence WHERE fingerprint = :fingerprint"
FORGET_COOLDOWNS = "DELETE FROM cooldown WHERE substr(subject, 1, :size) = :prefix"
CLEAR = "DELETE FROM cooldown WHERE subject = :subject"
# Those that began in a time to come would be in force again when that comes; without an end, they stay.
VOID_COOLDOWNS = f"DELETE FROM cooldown WHERE {_set_back('since', ':now')} AND until < :ever"

# The journal.
_EVENT = "at, kind, session, request, pin, detail"
EVENT_COLUMNS = tuple(_EVENT.split(", "))
RECORD = f"INSERT INTO journal ({_EVENT}) VALUES ({', '.join(f':{name}' for name in EVENT_COLUMNS)})"


def journal(*, by_session: bool, by_request: bool) -> str:
    """Return the query for the newest rows, of a session or of a request if wanted. For a request it reads
    all rows of the second in which the request began."""
    query = f"SELECT {_EVENT} FROM journal"
    filters = []
    if by_session:
        filters.append("session = :session")
    if by_request:
        filters.append("request IN (:request, :second) AND request <> ''")
    if filters:
        query += f" WHERE {' AND '.join(filters)}"
    query += " ORDER BY at DESC, id DESC"
    if not by_request:
        query += " LIMIT :limit"
    return query


# Leases: the row of a key that is still in use is never deleted, so that its fence only grows.
LEASE = "SELECT name, owner, fence, until FROM lease WHERE name = :name"
LEASE_TAKE = """INSERT INTO lease (name, owner, fence, until) VALUES (:name, :owner, 1, :until)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = lease.fence + 1, until = excluded.until
    WHERE lease.until <= :now OR lease.until > :latest"""
LEASE_RENEW = "UPDATE lease SET until = :until WHERE name = :name AND fence = :fence AND until > :now"
LEASE_END = "UPDATE lease SET until = 0 WHERE name = :name AND fence = :fence"

# Tokens and model lists.
_TOKEN = "id, hash, label, session, created_at, revoked_at, pins, strict, expires_at, instance, budget"
TOKEN_COLUMNS = tuple(_TOKEN.split(", "))
TOKEN = f"SELECT {_TOKEN} FROM token WHERE id = :id"
TOKENS = f"SELECT {_TOKEN} FROM token ORDER BY created_at, id"
_TOKEN_VALUES = ", ".join(f":{name}" for name in TOKEN_COLUMNS)
TOKEN_ADD = f"INSERT INTO token ({_TOKEN}) VALUES ({_TOKEN_VALUES}) ON CONFLICT (id) DO NOTHING"
TOKEN_REVOKE = "UPDATE token SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL"
TOKEN_RENEW = "UPDATE token SET expires_at = :until WHERE id = :id AND revoked_at IS NULL"
TOKEN_PINS = "SELECT id, pins FROM token WHERE pins IS NOT NULL"
TOKEN_SET_PINS = "UPDATE token SET pins = :pins WHERE id = :id"
MODELS = "SELECT models, at FROM models WHERE provider = :provider AND url = :url"
MODELS_SAVE = f"""INSERT INTO models (provider, url, models, at) VALUES (:provider, :url, :models, :at)
    ON CONFLICT (provider, url) DO UPDATE SET models = excluded.models, at = excluded.at
    WHERE models.at <= excluded.at OR {_set_back("models.at", "excluded.at")}"""

# Objects that only the account knows in which they were made.
_OBJECT = "id, session, provider, label, fingerprint, at"
OBJECT_COLUMNS = tuple(_OBJECT.split(", "))
OBJECT = f"SELECT {_OBJECT} FROM account_object WHERE id = :id"
FIRST_OBJECT = f"SELECT {_OBJECT} FROM account_object WHERE session = :session ORDER BY at LIMIT 1"
_OBJECT_VALUES = ", ".join(f":{name}" for name in OBJECT_COLUMNS)
OBJECT_SAVE = f"""INSERT INTO account_object ({_OBJECT}) VALUES ({_OBJECT_VALUES})
    ON CONFLICT (id) DO UPDATE SET session = excluded.session, provider = excluded.provider,
        label = excluded.label, fingerprint = excluded.fingerprint, at = excluded.at
    WHERE account_object.at <= excluded.at"""
OBJECTS_PRUNE = """DELETE FROM account_object WHERE id IN (SELECT id FROM account_object
    WHERE at < :oldest OR at < (SELECT at FROM account_object ORDER BY at DESC LIMIT 1 OFFSET :most)
    ORDER BY at LIMIT :portion)"""
OBJECTS_RENAME = "UPDATE account_object SET provider = :new WHERE provider = :old"

# Provisioning records: one JSON text each, because they are read whole and written whole.
PROVISION = "SELECT name, state, version, record FROM provision WHERE name = :name"
PROVISIONS = "SELECT name, state, version, record FROM provision ORDER BY name"
PROVISION_INSERT = """INSERT INTO provision (name, state, version, record)
    VALUES (:name, :state, :version, :record) ON CONFLICT (name) DO NOTHING"""
PROVISION_UPDATE = """UPDATE provision SET state = :state, version = :version, record = :record
    WHERE name = :name AND version = :expect"""
PROVISION_DELETE = "DELETE FROM provision WHERE name = :name"
