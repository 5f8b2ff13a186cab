"""The contents of the admin pages as JSON values: read-only, from memory and the store, without any key's
value.

The store is read here, so none of these functions runs on the event loop.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...core.changes import NO_KEY, Cooldown, Evidence, subject_prefixes
from ...core.identity import Endpoint, Key, Provider
from ...core.session import Session
from ...engine.journal import why
from ...engine.provenance import usage_values
from ...engine.resting import Resting
from ...engine.sessions import kept_key, obstacle
from ...engine.state import Engine
from ...store.journal_events import Detail, Event
from ...store.stored_events import event_values
from ...store.token import Token
from ..permissions import may_see
from ..registry import running
from ..telemetry.shared_counters import Gauge, Shared

if TYPE_CHECKING:
    from ..ports import AdminContext

_LINES = 200
"""The most journal entries of one page."""
_PAGES = 10
"""Pages of all sessions that are looked through for one page of a token's."""


def status(gateway: AdminContext, shared: Shared, version: str) -> dict[str, Any]:
    """Return the gateway as a whole: version, workers, configuration; and all gateways of the home."""
    engine, config = gateway.engine, gateway.engine.config()
    error = None
    if engine.config_error is not None:
        error = str(engine.config_error)
    return {
        "version": version,
        "now": engine.store.now(),
        "workers": [_worker(shared.fixed(slot)) for slot in range(shared.slots)],
        "draining": gateway.draining,
        "gateways": [asdict(listed) for listed in running(engine.home.state)],
        "journal_queue": engine.journal_writer.waiting,
        "config": {
            "file": str(engine.home.config),
            "providers": len(config.providers),
            "fallbacks": len(config.fallbacks),
            "error": error,
        },
    }


def _worker(gauges: dict[Gauge, float]) -> dict[str, Any]:
    uptime = 0.0
    if gauges[Gauge.STARTED_AT]:
        uptime = round(time.time() - gauges[Gauge.STARTED_AT], 1)
    return {
        "pid": int(gauges[Gauge.PID]),
        "ready": bool(gauges[Gauge.READY]),
        "uptime": uptime,
        "starts": int(gauges[Gauge.STARTS]),
        "open_connections": int(gauges[Gauge.OPEN_CLIENTS]),
        "config_broken": bool(gauges[Gauge.CONFIG_BROKEN]),
    }


def providers(engine: Engine) -> list[dict[str, Any]]:
    """Return every provider with its endpoints and keys, their evidence and their cooldowns."""
    engine.catch_up()
    now = engine.store.now()
    resting = Resting(item for item in engine.store.cooldowns() if not item.over(now))
    return [_provider(engine, provider, resting) for provider in engine.config().providers.values()]


def _provider(engine: Engine, provider: Provider, resting: Resting) -> dict[str, Any]:
    models = None
    if provider.models is not None:
        models = list(provider.models)
    return {
        "name": provider.name,
        "preset": provider.preset,
        "strategy": str(provider.strategy),
        "models": models,
        "endpoints": [_endpoint(engine, endpoint, resting) for endpoint in provider.endpoints],
        "keys": [_key(engine, provider, key, resting) for key in provider.keys],
    }


def _endpoint(engine: Engine, endpoint: Endpoint, resting: Resting) -> dict[str, Any]:
    value: dict[str, Any] = {
        "url": endpoint.url,
        "dialect": str(endpoint.dialect),
        "auth": str(endpoint.auth),
        "resting": [_cooldown(item) for item in resting.at_endpoint(endpoint.url)],
    }
    evidence = engine.health.evidence(NO_KEY, endpoint)
    if evidence.last_ok is not None:
        value["last_ok"] = evidence.last_ok
    return value


def _key(engine: Engine, provider: Provider, key: Key, resting: Resting) -> dict[str, Any]:
    fingerprint = engine.fingerprint(key)
    evidence: list[Evidence] = []
    cooldowns: list[Cooldown] = []
    if fingerprint is not None:
        cooldowns = resting.beginning(subject_prefixes(fingerprint, key))
        endpoints = (*provider.endpoints, *key.endpoints)
        evidence = [engine.health.evidence(fingerprint, endpoint) for endpoint in endpoints]
    return {
        "label": key.label,
        "kept_in": key.ref.partition(":")[0],
        "account": key.account,
        "read": fingerprint is not None,
        "evidence": [
            {
                "url": item.url,
                "last_ok": item.last_ok,
                "last_fault": item.last_fault and str(item.last_fault),
                "last_fault_at": item.last_fault_at,
            }
            for item in evidence
            if not item.untested
        ],
        "resting": [_cooldown(item) for item in cooldowns],
    }


def _cooldown(cooldown: Cooldown) -> dict[str, Any]:
    until: float | None = cooldown.until
    if until == float("inf"):  # JSON cannot express infinity
        until = None
    return {
        "about": cooldown.subject.partition(":")[0],
        "url": cooldown.subject.rpartition("@")[2],
        "fault": str(cooldown.fault.kind),
        "since": cooldown.since,
        "until": until,
    }


def sessions(engine: Engine, token: Token, limit: int, after: str) -> tuple[list[dict[str, Any]], str]:
    """Return about `limit` of the sessions that a token may see, those that follow `after`, the last changed
    first; and what the next page is asked for with, empty on the last one. Raises IdentityError.

    A page of a token that may see few of all sessions can be short."""
    if token.session is not None:
        own = engine.store.stored_session(token.session)
        return ([_session(engine, own)] if isinstance(own, Session) else []), ""
    seen: list[Session] = []
    for _ in range(_PAGES):
        page = engine.store.session_page(limit, after)
        seen += [item for item in page.sessions if may_see(token, item.id, item.pin)]
        after = page.after
        if len(seen) >= limit or not after:
            break
    return [_session(engine, item) for item in seen], after


def session(engine: Engine, session_id: str, token: Token) -> dict[str, Any] | None:
    """Return one session and the reasons for its present state; None where there never was one, or not one
    that the token may see."""
    engine.journal_writer.flush()
    stored = engine.store.session(session_id)
    if stored is not None and not may_see(token, session_id, stored.pin):
        return None
    known = engine.store.journal(session=session_id, limit=_LINES)
    events = [event for event in known if may_see(token, session_id, event.pin)]
    if stored is None and not events:
        return None
    value: dict[str, Any] = {"id": session_id, "removed": True}
    if stored is not None:
        value = _session(engine, stored)
        value["usage"] = [usage_values(sums) for sums in engine.store.usage(["pin"], session=session_id)]
    return value | {"last_explanation": engine.explained.get(session_id), **_story(events)}


def request(engine: Engine, request_id: str, token: Token) -> dict[str, Any] | None:
    """Return the journal of one request; None where nothing is known of it that the token may see."""
    engine.journal_writer.flush()
    known = engine.store.journal(request=request_id, limit=_LINES)
    events = [event for event in known if may_see(token, event.session, event.pin)]
    if not events:
        return None
    return {"id": request_id, "session": events[-1].session, "pin": events[-1].pin, **_story(events)}


def _session(engine: Engine, stored: Session) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": stored.id,
        "pin": str(stored.pin),
        "key": stored.key,
        "kept_key": kept_key(engine.config(), stored),
        "fallback": None,
        "created_at": stored.created_at,
        "changed_at": stored.changed_at,
        "resumes": True,
        "why_not": "",
        "candidates": [],
        "run": "",
    }
    chain = engine.config().fallbacks.get(stored.pin)
    active_fallback = stored.fallback_in_force(chain, engine.store.now())
    if active_fallback is not None:
        value["fallback"] = active_fallback.values()
    lost = obstacle(engine.config(), stored, engine.store)
    if lost is not None:
        candidates = list(getattr(lost, "candidates", ()))
        value |= {"resumes": False, "why_not": lost.what, "candidates": candidates, "run": lost.next_step}
    return value


def _story(events: list[Event[Detail]]) -> dict[str, Any]:
    """Return the journal as text and as values; times are UTC in the text, epoch seconds in the values."""
    return {"why": why(events), "events": [event_values(event) for event in events]}
