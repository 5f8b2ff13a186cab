"""Asks a provider's own host in which other dialects it speaks: one request for each address, which asks for
no answer, and one more to a path that no server has where an address seems to speak."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..core.faults import Reply
from ..core.identity import Auth, Connection, Dialect, Endpoint, Key, Provider
from ..providers import profiles
from ..providers.siblings import elsewhere, siblings, usual_auth
from ..values.secret import Secret
from ..wire.dialect_probe import NO_ROUTE, PATHS, Spoken, probe_body, same, verdict
from .api_calls import call_control_plane

_SECONDS = 5.0
_NO_MODEL = "holdfast-asks-for-no-model"


class AskedAddress(NamedTuple):
    """An address that was asked, how it was asked, and the verdict. `status` is None where no answer came."""

    endpoint: Endpoint
    spoken: Spoken
    status: int | None


class Asker(NamedTuple):
    """A provider with an endpoint that is known to be its own, and the key that it takes there. No other
    origin gets the key."""

    provider: Provider
    known: Endpoint
    key: Key | None
    secret: Secret | None
    model: str = ""
    own_profiles: Path | None = None

    def ask(self, wanted: Sequence[Dialect]) -> Iterator[AskedAddress]:
        """Yield the result of each address, until one speaks the dialect that is looked for; the one that is
        known is not asked again. Ends at once where the host cannot be reached."""
        for dialect in wanted:
            candidates = siblings(self.known, dialect)
            if dialect is self.known.dialect:
                candidates = elsewhere(self.known)
            for candidate in candidates:
                asked = self._asked(candidate)
                if asked.spoken is Spoken.KEY and usual_auth(candidate) != candidate:
                    asked = self._asked(usual_auth(candidate))
                yield asked
                if asked.status is None:
                    return
                if asked.spoken is Spoken.YES:
                    break

    def _asked(self, endpoint: Endpoint) -> AskedAddress:
        reply = self._sent(endpoint, PATHS[endpoint.dialect])
        profile = profiles.of(self.provider.profile, endpoint.host, self.own_profiles)
        spoken = verdict(endpoint.dialect, reply, profile, time.time())
        if spoken is Spoken.YES and same(reply, self._sent(endpoint, NO_ROUTE)):
            spoken = Spoken.NO
        return AskedAddress(endpoint, spoken, reply.status)

    def _sent(self, endpoint: Endpoint, path: str) -> Reply:
        if endpoint.origin != self.known.origin:
            raise ValueError(f"{endpoint.origin} is not {self.known.origin}")
        key = None
        if self.key is not None and endpoint.auth is not Auth.NONE:
            key = replace(self.key, endpoints=())
        provider = replace(self.provider, endpoints=(endpoint,), keys=(key,) if key else ())
        model = self.model or _NO_MODEL
        connection = Connection(provider, endpoint.dialect, key, model)
        secret = self.secret if key else None
        body = probe_body(model)
        return call_control_plane(connection, secret, "POST", path, body=body, seconds=_SECONDS)
