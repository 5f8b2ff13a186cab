"""The translations of one request, each made when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from ..core.identity import Connection, Dialect, Translates
from ..translate.caps import Caps
from ..translate.envelope import Sealer
from ..translate.exchange import CallerRequest, Destination
from ..translate.losses import Untranslatable
from ..wire.json_codec import loads
from ..wire.translated import TranslatedRequest

CapsOf = Callable[[Connection], Caps]
_LONG = 256 * 1024
"""Bytes of a body whose translation takes so long (about 5 ms) that nobody else is to wait for it."""


class Translator:
    """A caller's request of `dialect`, for endpoints of another. `seed` is the request's id, `now` the time
    in epoch seconds; `session` names the session to an endpoint that caches by it."""

    def __init__(
        self,
        dialect: Dialect,
        body: bytes | None,
        sealer: Sealer,
        caps_of: CapsOf,
        *,
        session: str,
        seed: str,
        now: float,
    ) -> None:
        self.dialect, self._body, self._sealer, self._caps_of = dialect, body, sealer, caps_of
        self.session, self.seed, self.now = session, seed, now
        self._request: CallerRequest | None = None
        self._known: dict[tuple[str, str, str], TranslatedRequest | Untranslatable] = {}
        self.last: TranslatedRequest | None = None
        """What was sent last; None where that needed no translation."""

    def to(self, connection: Connection) -> TranslatedRequest | None:
        """Return the request for a connection; None where its endpoint speaks the caller's dialect. Raises
        Untranslatable."""
        self.last = self.check(connection)
        return self.last

    def check(self, connection: Connection) -> TranslatedRequest | None:
        """Return the same, although nothing is sent yet. Raises Untranslatable."""
        if connection.dialect is self.dialect:
            return None
        subject = _subject(connection)
        known = self._known.get(subject)
        if known is None:
            try:
                known = self._translated(connection)
            except Untranslatable as refused:
                known = refused
            self._known[subject] = known
        if isinstance(known, Untranslatable):
            raise known
        return known

    def knows(self, connection: Connection) -> bool:
        """Return whether `to` takes no time: nothing is translated, it is already, or the body is short."""
        if connection.dialect is self.dialect or len(self._body or b"") <= _LONG:
            return True
        return _subject(connection) in self._known

    def _translated(self, connection: Connection) -> TranslatedRequest:
        provider = connection.provider
        destination = Destination(
            dialect=connection.dialect,
            origin=connection.endpoint.origin,
            model=connection.model,
            caps=self._caps_of(connection),
            exact=provider.translates is Translates.EXACT,
            cache_key=self.session,
        )
        try:
            return TranslatedRequest(self._read().to(destination), connection.model)
        except Untranslatable as refused:
            way = f"{provider.name} speaks {connection.dialect}, so this {self.dialect} request is translated"
            step, details = refused.next_step, [way, *refused.details]
            if not step.startswith("holdfast "):
                details += filter(None, [step])
                step = f"holdfast provider endpoint {provider.name} {self.dialect}=URL   (if it has that API)"
            raise Untranslatable(refused.path, refused.why, step, details=details) from None

    def _read(self) -> CallerRequest:
        """Return the request as it was read. Raises Untranslatable where there is none in memory."""
        if self._request is None:
            try:
                body = loads(self._body or b"")
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                raise Untranslatable("", "the body is no JSON object that is held in memory")
            self._request = CallerRequest(self.dialect, body, self._sealer, seed=self.seed, now=self.now)
        return self._request


def _subject(connection: Connection) -> tuple[str, str, str]:
    """Return what a translation depends on, besides the request."""
    return str(connection.pin), connection.dialect, connection.endpoint.origin
