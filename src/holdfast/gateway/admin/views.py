"""What the admin pages tell, as values of plain JSON types: read-only, from memory and the store, without a
key's value.

The store is read here, so nothing of this runs on the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...core.changes import NO_KEY, Cooldown
from ...core.identity import Endpoint, Key, Provider
from ...core.session import Session
from ...engine.journal import why
from ...engine.session_moves import obstacle
from ...engine.state import Engine
from ...store.journal_events import Detail, Event
from ...store.stored_events import event_values
from ..telemetry.shared_counters import Gauge, Shared

if TYPE_CHECKING:
    from ..ports import AdminContext

_LINES = 200


def status(gateway: AdminContext, shared: Shared, version: str) -> dict[str, Any]:
    """The gateway as a whole: version, workers, configuration."""
    engine, now = gateway.engine, time.time()
    error = engine.config_error
    workers = [
        {
            "pid": int(fixed[Gauge.PID]),
            "ready": bool(fixed[Gauge.READY]),
            "uptime": round(now - fixed[Gauge.STARTED_AT], 1) if fixed[Gauge.STARTED_AT] else 0.0,
            "starts": int(fixed[Gauge.STARTS]),
            "open_connections": int(fixed[Gauge.OPEN_CLIENTS]),
            "config_broken": bool(fixed[Gauge.CONFIG_BROKEN]),
        }
        for fixed in map(shared.fixed, range(shared.slots))
    ]
    config = engine.config()
    return {
        "version": version,
        "now": engine.store.now(),
        "workers": workers,
        "draining": gateway.draining,
        "journal_queue": engine.journal_writer.waiting,
        "config": {
            "file": str(engine.home.config),
            "providers": len(config.providers),
            "fallbacks": len(config.fallbacks),
            "error": str(error) if error is not None else None,
        },
    }


def providers(engine: Engine) -> list[dict[str, Any]]:
    """Every provider with its endpoints, and for each key what it last did at each of them and what rests."""
    engine.catch_up()
    now = engine.store.now()
    resting = [one for one in engine.store.cooldowns() if one.until > now]
    return [_provider(engine, one, resting) for one in engine.config().providers.values()]


def _provider(engine: Engine, provider: Provider, resting: Iterable[Cooldown]) -> dict[str, Any]:
    return {
        "name": provider.name,
        "preset": provider.preset,
        "strategy": str(provider.strategy),
        "models": list(provider.models) if provider.models is not None else None,
        "endpoints": [_endpoint(engine, one, resting) for one in provider.endpoints],
        "keys": [_key(engine, provider, key, resting) for key in provider.keys],
    }


def _endpoint(engine: Engine, endpoint: Endpoint, resting: Iterable[Cooldown]) -> dict[str, Any]:
    told: dict[str, Any] = {"url": endpoint.url, "dialect": str(endpoint.dialect), "auth": str(endpoint.auth)}
    told["resting"] = [
        _cooldown(one)
        for one in resting
        if one.subject == f"endpoint:{endpoint.url}" or _is_model_at(one.subject, endpoint.url)
    ]
    evidence = engine.health.evidence(NO_KEY, endpoint)
    return told | ({"last_ok": evidence.last_ok} if evidence.last_ok is not None else {})


def _is_model_at(subject: str, url: str) -> bool:
    return subject.startswith("model:") and subject.endswith(f"@{url}")


def _key(engine: Engine, provider: Provider, key: Key, resting: Iterable[Cooldown]) -> dict[str, Any]:
    mark = engine.fingerprint(key)
    mine = (f"key:{mark}@", f"account:{provider.name}:{key.account}@") if key.account else (f"key:{mark}@",)
    seen = (
        [engine.health.evidence(mark, endpoint) for endpoint in (*provider.endpoints, *key.endpoints)]
        if mark is not None
        else []
    )
    return {
        "label": key.label,
        "kept_in": key.ref.partition(":")[0],
        "account": key.account,
        "read": mark is not None,
        "evidence": [
            {
                "url": one.url,
                "last_ok": one.last_ok,
                "last_fault": one.last_fault and str(one.last_fault),
                "last_fault_at": one.last_fault_at,
            }
            for one in seen
            if not one.untested
        ],
        "resting": [_cooldown(one) for one in resting if mark is not None and one.subject.startswith(mine)],
    }


def _cooldown(one: Cooldown) -> dict[str, Any]:
    return {
        "about": one.subject.partition(":")[0],
        "url": one.subject.rpartition("@")[2],
        "fault": str(one.fault.kind),
        "since": one.since,
        "until": one.until if one.until != float("inf") else None,
    }


def sessions(engine: Engine, only: str | None) -> list[dict[str, Any]]:
    """All sessions, the last changed first; or the `only` one that may be seen."""
    return [_row(engine, one) for one in engine.store.sessions() if only in (None, one.id)]


def session(engine: Engine, session_id: str) -> dict[str, Any] | None:
    """One session and why it is where it is; None when there never was one."""
    engine.journal_writer.flush()
    row = engine.store.session(session_id)
    events = engine.store.journal(session=session_id, limit=_LINES)
    if row is None and not events:
        return None
    told = _row(engine, row) if row is not None else {"id": session_id, "removed": True}
    return told | {"last_explanation": engine.explained.get(session_id), **_story(events)}


def request(engine: Engine, request_id: str, only: str | None) -> dict[str, Any] | None:
    """What happened to one request; None when nothing is known of it, or it was another session's than the
    `only` one."""
    engine.journal_writer.flush()
    events = [
        one for one in engine.store.journal(request=request_id, limit=_LINES) if only in (None, one.session)
    ]
    return (
        {"id": request_id, "session": events[-1].session, "pin": events[-1].pin, **_story(events)}
        if events
        else None
    )


def _row(engine: Engine, row: Session) -> dict[str, Any]:
    lost = obstacle(engine.config(), row)
    active_fallback = row.on_fallback(engine.store.now())
    return {
        "id": row.id,
        "pin": str(row.pin),
        "key": row.key,
        "kept_key": row.kept_key,
        "fallback": active_fallback.values() if active_fallback is not None else None,
        "created_at": row.created_at,
        "changed_at": row.changed_at,
        "resumes": lost is None,
        "why_not": lost.what if lost is not None else "",
        "candidates": list(getattr(lost, "candidates", ())),
        "run": lost.next_step if lost is not None else "",
    }


def _story(events: list[Event[Detail]]) -> dict[str, Any]:
    """The journal in words and as values; times are UTC in the words, epoch seconds in the values."""
    return {"why": why(events), "events": [event_values(event) for event in events]}
