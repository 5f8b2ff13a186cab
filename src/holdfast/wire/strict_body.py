"""Finds in a request's body what may make its receiver take another model or another address than the pin's.

Between us and the model there may be other programs (a gateway product, an inference server), and each has a
parser of its own. Where only one pin may be used, a body is sent only if all of them read the same in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from .error_bodies import ClientError, refusal

_OTHER_MODELS = "names other models, of which OpenRouter, LiteLLM and others take one"
_FALLBACK = "names models that LiteLLM, Bifrost and others use instead"
_ROUTE = "chooses among models or providers at OpenRouter and others"
_ADDRESS = "sends the request to another address at LiteLLM and others that take one from a request"
_ACCOUNT = "sends the request with another account at LiteLLM and others that take one from a request"
_MODEL = "is another name of the model: at Bedrock, Azure's older APIs, llama.cpp or a router"
_MERGED = "is merged into the request by LiteLLM, so that it may hold any of the others"

MEMBERS: dict[str, str] = {
    "models": _OTHER_MODELS,
    "modellist": _OTHER_MODELS,
    "fallback": _FALLBACK,
    "fallbacks": _FALLBACK,
    "fallbackmodel": _FALLBACK,
    "fallbackmodels": _FALLBACK,
    "contextwindowfallbacks": _FALLBACK,
    "contentpolicyfallbacks": _FALLBACK,
    "route": _ROUTE,
    "router": _ROUTE,
    "routing": _ROUTE,
    "provider": _ROUTE,
    "providers": _ROUTE,
    "provideroptions": "chooses among models and providers at Vercel's gateway",
    "preset": "replaces the model at OpenRouter",
    "customllmprovider": _ROUTE,
    "llmprovider": _ROUTE,
    "modelid": _MODEL,
    "modelname": _MODEL,
    "engine": _MODEL,
    "deployment": _MODEL,
    "deploymentid": _MODEL,
    "specificdeployment": _MODEL,
    "apibase": _ADDRESS,
    "baseurl": _ADDRESS,
    "apiurl": _ADDRESS,
    "url": _ADDRESS,
    "endpoint": _ADDRESS,
    "endpointurl": _ADDRESS,
    "azureendpoint": _ADDRESS,
    "openaiapibase": _ADDRESS,
    "awsbedrockruntimeendpoint": _ADDRESS,
    "targeturl": _ADDRESS,
    "host": _ADDRESS,
    "customhost": _ADDRESS,
    "proxy": _ADDRESS,
    "kvtransferparams": "names the machine from which vLLM fetches its state",
    "apikey": _ACCOUNT,
    "azureadtoken": _ACCOUNT,
    "vertexcredentials": _ACCOUNT,
    "awsregionname": _ACCOUNT,
    "vertexproject": _ACCOUNT,
    "vertexlocation": _ACCOUNT,
    "userconfig": "brings a list of models and addresses of its own at LiteLLM",
    "litellmparams": _MERGED,
    "extrabody": _MERGED,
    "extraheaders": "adds headers at LiteLLM, which may name an address",
    "extraquery": _MERGED,
}
"""Why a member is refused, by its name without case, underscores and the like."""
_LONGEST_SHOWN = 40
_DOUBLED = "stands twice, and of two such members some parsers take the first and others the last"
_CASE = "is read as '{name}' by parsers that do not look at case, such as Go's"
_NO_TEXT = "is no text, and some parsers stop there while others take what is added"


class Doubt(NamedTuple):
    """A member of a body that others may read differently, and the reason."""

    member: str
    why: str


def refusal_of_doubt(body: bytes) -> ClientError | None:
    """Return the refusal of a body that others may read differently, where only certain pins may be used."""
    try:
        doubt = doubtful_member(body)
    except ValueError as error:
        return refusal("unreadable_body", why=f"as JSON it is broken: {error}")
    if doubt is None:
        return None
    member = doubt.member[:_LONGEST_SHOWN]
    return refusal("strict_body", member=member, why=doubt.why, facts={"member": member})


def doubtful_member(body: bytes) -> Doubt | None:
    """Return the first top-level member by which the receiver may take another model or address, or None.

    Raises ValueError where the body is no JSON object.
    """
    members = members_of(body)
    seen: dict[str, str] = {}
    for name, value in members:
        read = _read_by_others(name)
        why = MEMBERS.get(read)
        if name in seen.values():
            why = _DOUBLED
        elif read in seen:
            why = _CASE.format(name=seen[read])
        elif read == "model" != name:
            why = _CASE.format(name="model")
        elif name == "model" and not isinstance(value, str):
            why = _NO_TEXT
        if why is not None:
            return Doubt(name, why)
        seen[read] = name
    return None


def members_of(body: bytes) -> tuple[tuple[str, object], ...]:
    """Return the top-level members of a JSON object, doubled ones too. Raises ValueError for what is none."""
    try:
        members = json.loads(body, object_pairs_hook=tuple, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(members, tuple):
        raise ValueError("it is no object")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _read_by_others(name: str) -> str:
    """Return a member's name as the most lenient parser reads it: without what follows a NUL, without case
    (which in Go and .NET includes letters such as the Kelvin sign), underscores and hyphens."""
    return "".join(_letters(name.partition("\0")[0]))


def _letters(name: str) -> Iterable[str]:
    return (letter for letter in name.casefold() if letter.isalnum())
