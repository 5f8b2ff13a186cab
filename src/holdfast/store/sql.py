"""All statements of the store, with named parameters (`:name`), in the SQL that SQLite and PostgreSQL share:
upserts, but no engine's own functions; `CASE` because one has `max()` and the other `greatest()`, `substr`
because LIKE would read `_` as a wildcard.

Columns keep the names of older versions: `stand_in` is the active fallback."""

# Only constants of this file are joined, every value is a parameter; a gateway token's SQL is no password.
# ruff: noqa: S608, S105

from __future__ import annotations

from ..core.changes import CLOCK_SLACK
from .feed import REFUTED_LEVEL

LONGEST_REQUEST = 86_400.0
"""Seconds: no request lasts longer, so that one that began so long before a choice began by another clock."""


def _set_back(stored: str, new: str) -> str:
    """Return the condition that a stored time is so far after a new one that the clock was set back since."""
    return f"{stored} > {new} + {CLOCK_SLACK}"


# The feed of changes. A transaction of changes that others must learn is alone in its turn; its rows carry
# the next number, which is taken if any row changed. Versions without numbers count in `revision` alone.
NEXT = "(SELECT value + 1 FROM counter WHERE name = 'seq')"
TAKE_NUMBER = "UPDATE counter SET value = value + 1 WHERE name IN ('seq', 'revision')"


def revision(epoch: str = "''") -> str:
    """Return the query for the last number, and for the epoch: the changes of versions without numbers, and
    the SQL expression `epoch`."""
    return f"""SELECT seq.value, (old.value - seq.value) || {epoch} FROM counter AS seq, counter AS old
        WHERE seq.name = 'seq' AND old.name = 'revision'"""


def _changed(kind: str, columns: str, table: str) -> str:
    return f"""SELECT * FROM (SELECT '{kind}' AS kind, {columns}, seq FROM {table}
        WHERE seq > :after ORDER BY seq LIMIT :most) AS changed_{table}"""


CHANGES = " UNION ALL ".join(
    (
        _changed(
            "cooldown",
            "subject AS name, fault AS text, until AS first, since AS second, 0.0 AS third, level AS number",
            "cooldown",
        ),
        _changed(
            "evidence",
            "fingerprint || ' ' || url, last_fault, first_ok, last_ok, last_fault_at, 0",
            "evidence",
        ),
        _changed("session", "id, '', 0.0, 0.0, 0.0, 0", "session"),
        _changed("token", "id, '', 0.0, 0.0, 0.0, 0", "token"),
        """SELECT 'provision', name, '', 0.0, 0.0, 0.0, 0, value FROM counter
            WHERE name = 'provision' AND value > :after""",
    )
)
"""The rows above the number `after`, at most so many of each table, in the order of their numbers."""


def take_batch(where: str) -> str:
    """Return the statement that keeps the number of a writer's batch, if it was not done before; `where` is a
    source of one row."""
    return f"""INSERT INTO written (writer, number, at)
        SELECT CAST(:writer AS TEXT), CAST(:number AS BIGINT), CAST(:now AS DOUBLE PRECISION) FROM {where}
        ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
        WHERE written.number < excluded.number"""


# Without a condition SQLite takes ON for that of a join.
TAKE_BATCH = take_batch("(SELECT 1 AS row) AS one WHERE true")
META_TABLE = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
META = "SELECT value FROM meta WHERE name = :name"
META_SET = """INSERT INTO meta (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value RETURNING value"""
META_CLAIM = """INSERT INTO meta (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO NOTHING RETURNING name"""

# Sessions: a row is the user's choice; only `version` decides who may overwrite it.
_SESSION = (
    "id, pin, chosen_key, stand_in, stand_in_reason, stand_in_until, kept_key, "
    "created_at, changed_at, version, former"
)
SESSION_COLUMNS = tuple(_SESSION.split(", "))
SESSION = f"SELECT {_SESSION} FROM session WHERE id = :id AND removed_at IS NULL"
SESSIONS = f"SELECT {_SESSION} FROM session WHERE removed_at IS NULL ORDER BY changed_at DESC, id"
NAMED_AT_ONCE = 50
SESSIONS_NAMED = f"""SELECT {_SESSION} FROM session WHERE removed_at IS NULL
    AND id IN ({", ".join(f":id{number}" for number in range(NAMED_AT_ONCE))})"""
_SESSION_VALUES = ", ".join(f":{name}" for name in SESSION_COLUMNS)
_SESSION_CHANGES = ", ".join(f"{name} = :{name}" for name in SESSION_COLUMNS[1:])
SESSION_INSERT = f"INSERT INTO session ({_SESSION}) VALUES ({_SESSION_VALUES}) ON CONFLICT (id) DO NOTHING"
SESSION_UPDATE = f"""UPDATE session SET {_SESSION_CHANGES}, seq = {NEXT}
    WHERE id = :id AND version = :expect"""
# The row of a removed session tells others of it, under an id that no session can have; for versions without
# numbers the session is gone at once.
SESSION_LEAVES = f"""INSERT INTO session (id, pin, created_at, changed_at, version, removed_at, seq)
    SELECT '-' || id, pin, created_at, changed_at, version, :now, {NEXT} FROM session WHERE id = :id
    ON CONFLICT (id) DO UPDATE SET removed_at = excluded.removed_at, seq = excluded.seq"""
SESSION_DELETE = "DELETE FROM session WHERE id = :id"
SESSION_TOUCH = f"""UPDATE session SET seq = {NEXT} WHERE id = :session
    AND NOT EXISTS (SELECT 1 FROM account_object WHERE account_object.session = :session)"""


def its_choice(at: str) -> str:
    """Return the condition that a session's choice is not later than the time `at`, by an expression."""
    return f"(changed_at <= {at} OR changed_at > {at} + {LONGEST_REQUEST})"


_ITS_CHOICE = f"id = :session AND {its_choice(':at')}"
START_FALLBACK = f"""UPDATE session
    SET stand_in = :stand_in, stand_in_reason = :stand_in_reason, stand_in_until = :stand_in_until,
        seq = {NEXT}
    WHERE {_ITS_CHOICE}"""
END_FALLBACK = f"""UPDATE session
    SET stand_in = NULL, stand_in_reason = NULL, stand_in_until = NULL, seq = {NEXT}
    WHERE {_ITS_CHOICE} AND stand_in IS NOT NULL"""
KEEP_KEY = f"""UPDATE session SET kept_key = :label, seq = {NEXT}
    WHERE {_ITS_CHOICE} AND kept_key <> :label"""
# Nobody has to learn the first key of a session: who has the session in memory without it keeps one himself.
KEEP_FIRST_KEY = f"UPDATE session SET kept_key = :label WHERE {_ITS_CHOICE} AND kept_key IS NULL"
# Key labels that older versions took from a key's position; the mark says that the store has none any more.
POSITIONS_REPLACED = "SELECT value FROM counter WHERE name = 'positions_replaced'"
MARK_POSITIONS_REPLACED = "INSERT INTO counter (name, value) VALUES ('positions_replaced', 1)"
WITH_POSITIONS = f"""SELECT {_SESSION} FROM session WHERE removed_at IS NULL
    AND (substr(chosen_key, 1, 1) = 'k' OR substr(kept_key, 1, 1) = 'k')"""
CHANGED_BY_RENAMING = """SELECT DISTINCT session.id FROM session JOIN journal ON journal.session = session.id
    WHERE journal.kind = 'renamed' AND journal.at >= session.changed_at"""
RELABEL = f"""UPDATE session SET chosen_key = :chosen_key, kept_key = :kept_key, seq = {NEXT}
    WHERE id = :id"""
# Providers that had another name: `old` may be renamed again, and the new name may become an old one.
RENAMED_FOLLOW = "UPDATE renamed_provider SET new = :new WHERE new = :old"
RENAMED_SAVE = """INSERT INTO renamed_provider (old, new, at) VALUES (:old, :new, :at)
    ON CONFLICT (old) DO UPDATE SET new = excluded.new, at = excluded.at"""
RENAMED_BACK = "DELETE FROM renamed_provider WHERE old = new"
RENAMED_PRUNE = """DELETE FROM renamed_provider
    WHERE old NOT IN (SELECT old FROM renamed_provider ORDER BY at DESC, old LIMIT 100)"""
NEW_NAME = "SELECT new FROM renamed_provider WHERE old = :old"

# Evidence and cooldowns: time decides, not the order in which processes write, and no time to come. What
# ended before its time stays as a row that tells others of it: a cooldown of the level `REFUTED_LEVEL`,
# evidence of nothing.
_EVIDENCE = "fingerprint, url, first_ok, last_ok, last_fault, last_fault_at"
EVIDENCE = f"""SELECT {_EVIDENCE} FROM evidence
    WHERE (last_ok IS NOT NULL OR last_fault IS NOT NULL) AND (fingerprint, url) > (:fingerprint, :url)
    ORDER BY fingerprint, url LIMIT :most"""
WORKED = f"""INSERT INTO evidence (fingerprint, url, first_ok, last_ok, seq)
    VALUES (:fingerprint, :url, :at, :at, {NEXT})
    ON CONFLICT (fingerprint, url) DO UPDATE SET seq = excluded.seq,
        first_ok = CASE WHEN {_set_back("evidence.first_ok", "excluded.first_ok")} THEN excluded.first_ok
            ELSE COALESCE(evidence.first_ok, excluded.first_ok) END,
        last_ok = CASE WHEN {_set_back("evidence.last_ok", "excluded.last_ok")} THEN excluded.last_ok
            WHEN evidence.last_ok > excluded.last_ok THEN evidence.last_ok ELSE excluded.last_ok END"""
FAILED = f"""INSERT INTO evidence (fingerprint, url, last_fault, last_fault_at, seq)
    VALUES (:fingerprint, :url, :kind, :at, {NEXT})
    ON CONFLICT (fingerprint, url) DO UPDATE SET last_fault = excluded.last_fault,
        last_fault_at = excluded.last_fault_at, seq = excluded.seq
    WHERE evidence.last_fault_at IS NULL OR evidence.last_fault_at <= excluded.last_fault_at
        OR {_set_back("evidence.last_fault_at", "excluded.last_fault_at")}"""
COOLDOWNS = "SELECT subject, until, since, level, fault FROM cooldown WHERE until > :oldest AND level >= 0"
COOLED = f"""INSERT INTO cooldown (subject, until, since, level, fault, seq)
    VALUES (:subject, :until, :since, :level, :fault, {NEXT})
    ON CONFLICT (subject) DO UPDATE SET seq = excluded.seq,
        until = CASE WHEN cooldown.level = excluded.level AND cooldown.until > excluded.until
            AND cooldown.since <= excluded.since THEN cooldown.until ELSE excluded.until END,
        since = excluded.since, level = excluded.level, fault = excluded.fault
    WHERE cooldown.since <= excluded.since OR {_set_back("cooldown.since", "excluded.since")}"""
_END_COOLDOWN = f"""UPDATE cooldown SET level = {REFUTED_LEVEL}, until = :at, seq = {NEXT},
    since = CASE WHEN since <= :at OR {_set_back("since", ":at")} THEN :at ELSE since END
    WHERE level >= 0"""
MOST_REFUTED = 5
_REFUTED = ", ".join(f":subject{number}" for number in range(MOST_REFUTED))
REFUTED = f"{_END_COOLDOWN} AND subject IN ({_REFUTED}) AND (since <= :at OR {_set_back('since', ':at')})"
FORGET_EVIDENCE = f"""UPDATE evidence
    SET first_ok = NULL, last_ok = NULL, last_fault = NULL, last_fault_at = :at, seq = {NEXT}
    WHERE fingerprint = :fingerprint AND (last_ok IS NOT NULL OR last_fault IS NOT NULL)"""
FORGET_COOLDOWNS = f"{_END_COOLDOWN} AND substr(subject, 1, :size) = :prefix"
CLEAR = f"{_END_COOLDOWN} AND subject = :subject"
# Those that began in a time to come would be in force again when that comes; without an end, they stay.
VOID_COOLDOWNS = f"{_END_COOLDOWN} AND {_set_back('since', ':at')} AND until < :ever"

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


# Leases: the row of a key that is still in use is never deleted, so that its fence only grows. `:now` is read
# once the transaction has its turn; an engine with a clock of its own reads that one.
LEASE = """SELECT name, owner, fence, until FROM lease
    WHERE name = :name AND until > :now AND until <= :now + :longest"""
LEASE_TAKE = """INSERT INTO lease (name, owner, fence, until) VALUES (:name, :owner, 1, :now + :ttl)
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = lease.fence + 1, until = excluded.until
    WHERE lease.until <= :now OR lease.until > :now + :longest RETURNING name, owner, fence, until"""
LEASE_RENEW = """UPDATE lease SET until = :now + :ttl
    WHERE name = :name AND fence = :fence AND until > :now RETURNING name"""
LEASE_END = "UPDATE lease SET until = 0 WHERE name = :name AND fence = :fence RETURNING name"

# Tokens and model lists.
_TOKEN = (
    "id, hash, label, session, created_at, revoked_at, "
    "pins, strict, expires_at, instance, budget, new_sessions"
)
TOKEN_COLUMNS = tuple(_TOKEN.split(", "))
TOKEN = f"SELECT {_TOKEN} FROM token WHERE id = :id"
TOKENS = f"SELECT {_TOKEN} FROM token ORDER BY created_at, id"
_TOKEN_VALUES = ", ".join(f":{name}" for name in TOKEN_COLUMNS)
TOKEN_ADD = f"""INSERT INTO token ({_TOKEN}, seq) VALUES ({_TOKEN_VALUES}, {NEXT})
    ON CONFLICT (id) DO NOTHING"""
TOKEN_REVOKE = f"UPDATE token SET revoked_at = :now, seq = {NEXT} WHERE id = :id AND revoked_at IS NULL"
TOKEN_RENEW = f"UPDATE token SET expires_at = :until, seq = {NEXT} WHERE id = :id AND revoked_at IS NULL"
TOKEN_PINS = "SELECT id, pins FROM token WHERE pins IS NOT NULL"
TOKEN_SET_PINS = f"UPDATE token SET pins = :pins, seq = {NEXT} WHERE id = :id"
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
PROVISIONS_CHANGED = f"""INSERT INTO counter (name, value) VALUES ('provision', {NEXT})
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
