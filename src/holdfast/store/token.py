"""A gateway token as it is stored. What its limits allow is decided in `gateway/permissions.py`."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.identity import Pin

TOKEN_KEPT = 86400.0
"""Seconds for which an ended token of one gateway is kept: each `holdfast run` makes one."""


@dataclass(frozen=True, slots=True)
class Token:
    """A gateway token as it is stored, with its hash only, and its limits. Times are epoch seconds.

    session     the only session that it is good for; None: any
    pins        the only pins that it is good for; none: any, or those of its session
    strict      its requests are refused where another program could read another model in them
    expires_at  when it ends; None: it does not end by itself
    instance    the only gateway at which it is good; None: all gateways of the store
    budget      not used yet
    new_sessions  how many sessions its requests may begin in a day; None: the gateway's own number
    """

    id: str
    hash: str
    label: str
    session: str | None = None
    created_at: float = 0.0
    revoked_at: float | None = None
    pins: tuple[Pin, ...] = ()
    strict: bool = False
    expires_at: float | None = None
    instance: str | None = None
    budget: str | None = None
    new_sessions: int | None = None
