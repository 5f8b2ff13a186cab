"""All that is measured: no gateway, ours, the proxies, and the gateways for models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .peers import PEERS, Holdfast, Peer
from .proxies import PROXIES


class HoldfastFull(Holdfast):
    """Ours without the fast path: every request is decided anew."""

    name, quick = "holdfast-full", True
    does = "the same, each request decided anew (`--fast-path off`)"
    settings: ClassVar[Mapping[str, str]] = {"HOLDFAST_FAST_PATH": "off"}


ALL: dict[str, Peer] = PEERS | {peer.name: peer for peer in (HoldfastFull(), *PROXIES)}
