"""Stored state: sessions, evidence, cooldowns, leases, the journal. Never a key, only keyed fingerprints."""

from __future__ import annotations

from .base import Lease, StaleSession, Store
from .listing import BrokenSession
from .token import Token

__all__ = ["BrokenSession", "Lease", "StaleSession", "Store", "Token"]
