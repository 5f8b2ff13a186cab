"""Requests of clients that were not made for a session: those of another SDK, of a class that addresses
another service (Azure, Bedrock, Vertex), and those with another base URL.

They are refused by their path before anything is sent: the path would be put behind that of the session's own
endpoint.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..wire.api_routes import dialect_of, tail_of
from ..wire.error_bodies import ClientError, refusal
from ..wire.route_table import PATHS, is_one_path


class Family:
    """An SDK: the path of the base URL that it is given, its client, and what makes the client's arguments.
    Compared by identity, which costs a request least."""

    OPENAI: Family
    ANTHROPIC: Family

    def __init__(self, base_path: str, client: str, maker: str) -> None:
        self.base_path, self.client, self.maker = base_path, client, maker


Family.OPENAI = Family("/v1", "openai.OpenAI", "session.for_openai()")
Family.ANTHROPIC = Family("", "anthropic.Anthropic", "session.for_anthropic()")

_OTHER_SERVICES = (
    (re.compile(r"/(openai/)?deployments/"), "openai.AzureOpenAI", Family.OPENAI),
    (re.compile(r"/model/[^/]+/(invoke|converse)"), "anthropic.AnthropicBedrock", Family.ANTHROPIC),
    (re.compile(r"/projects/[^/]+/locations/"), "anthropic.AnthropicVertex", Family.ANTHROPIC),
)
"""How the paths of clients begin that address another service: the path, the client, its family."""
_ENDS_AS_A_ROUTE = re.compile(r"/.+(/chat/completions|/v1/messages|/responses|/embeddings)")


@lru_cache(maxsize=256)
def refusal_of_client(path: str, made_for: Family | None, anthropic: bool) -> ClientError | None:
    """Return the refusal of a request whose client was not made for its session, or None.

    `made_for` is the SDK for which the transport was made (None: any client), and `anthropic` says whether
    the request speaks Anthropic's dialect.
    """
    family = Family.ANTHROPIC if anthropic else Family.OPENAI
    path = path.partition("?")[0]
    if not is_one_path(path):
        routes = [f"/v1/{name}" for name in PATHS if "{" not in name]
        return refusal("unknown_route", path=path, routes=", ".join(routes))
    for begins, client, like in _OTHER_SERVICES:
        if begins.match(tail_of(path)):
            return _refused(f"{client} addresses its own service ({path}), not the session's provider", like)
    if made_for not in (None, family):
        return _refused(f"this client speaks as {family.client}, but was made with {made_for.maker}", family)
    if dialect_of(path) is None and _ENDS_AS_A_ROUTE.fullmatch(path):
        return _refused(
            f"the client's base URL has a path of its own, which makes {path}", made_for or family
        )
    return None


def _refused(what: str, family: Family) -> ClientError:
    advice = f"make the client with {family.client}(**{family.maker}), or the async one of the same name"
    return refusal("wrong_client", what=what, advice=advice)
