"""Carries a request about what an account keeps: a stored response, a file, a batch. Who made it is looked up
first, in a thread, since the store may have to be read."""

from __future__ import annotations

import re

from ..engine.request import RequestRun
from ..wire.error_bodies import ClientError
from ..wire.exchange import ConversationResult
from .relay import Relay
from .token_refusals import object_refusal

Begun = RequestRun | ClientError
# Anthropic's SDKs fetch the results of a batch at the address that its description gives, with their key,
# which here is the gateway's token. Without host, that address is behind their base URL.
_RESULTS_URL = re.compile(rb'("results_url"\s*:\s*)"((?:[^"\\]|\\.)*)"').sub
_RESULTS = re.compile(rb"/v1/messages/batches/[^/?#]+/results\Z").search


def without_host(description: bytes) -> bytes:
    """Return descriptions of batches whose results are fetched here. An address that is no route of ours is
    left out: nobody sends a token there."""
    return _RESULTS_URL(_results_here, description)


def _results_here(member: re.Match[bytes]) -> bytes:
    path = _RESULTS(member[2].replace(b"\\/", b"/"))
    return member[1] + (b"null" if path is None else b'"%b"' % path[0])


class AccountRelay(Relay):
    """Such a request between its client and a provider."""

    __slots__ = ()

    def start(self) -> None:
        if self.request.readable:
            self._gateway.in_store_thread(self._look_up).add_done_callback(self._slowly_begun)
        else:
            super().start()

    def _look_up(self) -> Begun:
        """Have the engine start the request, if its token may use what it is about. May block."""
        about = self.request.rule.about
        refused = object_refusal(self._gateway.engine, self._token, self.session, about) or self._ask_whose()
        return refused or self._begin_slowly()

    def _pass_on(self, result: ConversationResult) -> None:
        good = result.good
        if good is not None and self.request.rule.makes and self.route.startswith("messages/batches"):
            chunks = [without_host(chunk) for chunk in good.chunks]
            result = result._replace(good=good._replace(chunks=chunks))
        super()._pass_on(result)
