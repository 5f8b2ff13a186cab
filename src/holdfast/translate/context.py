"""What the writers know beyond what they write: the endpoint of a request, the caller of an answer."""

from __future__ import annotations

from dataclasses import dataclass

from .caps import Caps
from .envelope import Sealer
from .form import Request
from .losses import Losses
from .names import ToolNames


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoint that a request is written for.

    mark       of the endpoint and of its model; opaque values of another mark stay away from it
    model      the name of the model there
    names      the tools of the request by the endpoint's names
    cache_key  by which the endpoint may cache the session's prompts; "" for none
    """

    caps: Caps
    mark: str
    model: str
    names: ToolNames
    losses: Losses
    cache_key: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller that an answer is written for: its request, and its tools by the endpoint's names.

    sealer  seals opaque values for the caller
    mark    of the endpoint and of the model that answer
    now     epoch seconds, for members that want a time
    seed    an id of this request, for ids that the provider does not give
    losses  what cannot be given to the caller
    """

    request: Request
    names: ToolNames
    sealer: Sealer
    mark: str
    now: float
    seed: str
    losses: Losses
