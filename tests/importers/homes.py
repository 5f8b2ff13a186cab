"""Hermes homes as hermes-agent 0.19.0 leaves them: its tables (schema version 22, dumped from a file that it
made), its three files.

`make test-hermes` lets hermes write such homes itself; these are the same without it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

A, B = "http://127.0.0.1:9101/v1", "http://127.0.0.1:9102/v1"
KEY_A, KEY_B = "sk-team-a-0f1e2d3c4b5a6978", "sk-team-b-9a8b7c6d5e4f3021"

CONFIG = f"""\
model:
  default: big
  provider: team-a
providers:
  team-a:
    name: Team A
    api: {A}
    key_env: TEAM_A_KEY
custom_providers:
  - name: Team B
    base_url: {B}
    api_key: {KEY_B}
    models: [big, small]
fallback_providers:
  - {{provider: Team B, model: small}}
"""

SHARED = f"""\
model: {{default: big, provider: team-a}}
providers:
  team-a: {{api: {A}, key_env: TEAM_A_KEY}}
  team-b: {{api: {A}, key_env: TEAM_B_KEY}}
"""
"""Two entries, one URL (NousResearch/hermes-agent#9315)."""

_SCHEMA = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (22);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, session_key TEXT, chat_id TEXT, chat_type TEXT,
    thread_id TEXT, display_name TEXT,
    origin_json TEXT, expiry_finalized INTEGER DEFAULT 0, model TEXT, model_config TEXT, system_prompt TEXT,
    parent_session_id TEXT,
    started_at REAL NOT NULL, ended_at REAL, end_reason TEXT, message_count INTEGER DEFAULT 0,
    tool_call_count INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0,
    reasoning_tokens INTEGER DEFAULT 0, cwd TEXT, git_branch TEXT, git_repo_root TEXT, billing_provider TEXT,
    billing_base_url TEXT, billing_mode TEXT,
    estimated_cost_usd REAL, actual_cost_usd REAL, cost_status TEXT, cost_source TEXT, pricing_version TEXT,
    title TEXT,
    api_call_count INTEGER DEFAULT 0, handoff_state TEXT, handoff_platform TEXT, handoff_error TEXT,
    compression_failure_cooldown_until REAL,
    compression_failure_error TEXT, compression_fallback_streak INTEGER NOT NULL DEFAULT 0, profile_name TEXT,
    rewind_count INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (parent_session_id) REFERENCES sessions(id)
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id),
    role TEXT NOT NULL, content TEXT, timestamp REAL NOT NULL
);
CREATE INDEX idx_sessions_source ON sessions(source);
CREATE INDEX idx_sessions_started ON sessions(started_at DESC);
"""
_OLD_SCHEMA = """\
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, model TEXT, model_config TEXT, started_at REAL NOT NULL
);"""


def hermes_home(
    directory: Path,
    config: str = CONFIG,
    *sessions: dict[str, Any],
    env: str = "",
    auth: object = None,
    old: bool = False,
) -> Path:
    """A home with these files and sessions; `old` is the schema from before sessions knew what they cost."""
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(config, "utf-8")
    if env:
        (directory / ".env").write_text(env, "utf-8")
    if auth is not None:
        (directory / "auth.json").write_text(json.dumps(auth), "utf-8")
    with closing(sqlite3.connect(directory / "state.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_OLD_SCHEMA if old else _SCHEMA)
        add(connection, *sessions)
    return directory


def add(connection: sqlite3.Connection, *sessions: dict[str, Any]) -> None:
    """Rows; a `model_config` that is a table is written as JSON."""
    for number, row in enumerate(sessions):
        full = {"source": "tui", "model": "big", "started_at": 1000.0 + number, **row}
        values = [json.dumps(value) if isinstance(value, dict) else value for value in full.values()]
        connection.execute(
            f"INSERT INTO sessions ({', '.join(full)}) VALUES ({', '.join('?' * len(full))})", values
        )
    connection.commit()


def billed(session: str, url: str, **more: Any) -> dict[str, Any]:
    """What the command line and the gateway store of a session on a named entry: the class, and the URL."""
    return {"id": session, "billing_provider": "custom", "billing_base_url": url, **more}


def stored(session: str, provider: str, url: str = "", **more: Any) -> dict[str, Any]:
    """What the TUI and ACP store: a `model_config` with the provider."""
    return {
        "id": session,
        "model_config": {
            "model": "big",
            "provider": provider,
            **({"base_url": url} if url else {}),
            **more.pop("config", {}),
        },
        **more,
    }


def configs(home: Path) -> dict[str, Any]:
    """The `model_config` of each session."""
    with closing(sqlite3.connect(home / "state.db")) as connection:
        return {
            session: json.loads(text) if text else None
            for session, text in connection.execute("SELECT id, model_config FROM sessions")
        }


def names(home: Path) -> list[str]:
    """Return the names of the files in the home, hidden ones too."""
    return sorted(path.name for path in home.iterdir())


def everything(home: Path) -> dict[str, bytes]:
    """Each file of the home, byte for byte."""
    return {
        str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()
    }
