"""Writes the members that both of OpenAI's APIs have, chat and Responses."""

from __future__ import annotations

from typing import Any

from .caps import VERBOSITIES, level_of_budget
from .context import Target
from .form import OFF, ON, UNSET, Request, Shape


def write_parallel(request: Request, target: Target) -> dict[str, Any]:
    """Return whether several tools may be called at once."""
    if request.parallel is UNSET:
        return {}
    if target.caps.parallel_flag:
        return {"parallel_tool_calls": request.parallel is ON}
    if request.parallel is OFF:
        target.losses.less("parallel", request.path("parallel_tool_calls"))
    return {}


def write_output(name: str, request: Request, target: Target, least: int = 1) -> dict[str, Any]:
    """Return the limit of output, by its `name`, in tokens: `least`, or what the model can give, where the
    caller's is none that the endpoint takes."""
    wanted = request.limits.max_output
    if wanted is None:
        return {}
    written = max(least, min(wanted, target.caps.max_output or wanted))
    if written != wanted:
        target.losses.less("max_tokens", request.path("max_tokens"))
    return {name: written}


def write_sampling(request: Request, target: Target) -> dict[str, Any]:
    """Return temperature, top_p and top_k. A temperature or top_p of 1 changes nothing."""
    limits, caps = request.limits, target.caps
    written: dict[str, Any] = {}
    for name, value in (("temperature", limits.temperature), ("top_p", limits.top_p)):
        if value is None:
            continue
        if caps.temperature:
            written[name] = value
        elif value != 1:
            target.losses.less("temperature", request.path(name))
    if limits.top_k is not None and caps.top_k:
        written["top_k"] = limits.top_k
    elif limits.top_k is not None:
        target.losses.less("top_k", request.path("top_k"))
    return written


def schema_of(shape: Shape) -> dict[str, Any]:
    """Return the schema that an answer must follow, with its name."""
    written: dict[str, Any] = {"name": shape.name or "answer", "schema": shape.schema}
    if shape.description:
        written["description"] = shape.description
    if shape.strict is not UNSET:
        written["strict"] = shape.strict is ON
    return written


def level_of(request: Request) -> str:
    """Return the level of effort. A budget is one too."""
    effort = request.effort
    if effort.level or effort.budget is None:
        return effort.level
    return level_of_budget(effort.budget, request.limits.max_output)


def write_verbosity(request: Request, target: Target) -> dict[str, Any]:
    """Return how long the answer may be."""
    if request.verbosity in VERBOSITIES and target.caps.verbosity:
        return {"verbosity": request.verbosity}
    if request.verbosity:
        target.losses.less("verbosity", request.path("verbosity"))
    return {}


def write_hints(request: Request, target: Target) -> dict[str, Any]:
    """Return by what the endpoint may cache, and the class of service."""
    caps, losses = target.caps, target.losses
    written: dict[str, Any] = {}
    key = target.cache_key or request.cache_key
    if key and caps.cache_key:
        written["prompt_cache_key"] = key
    elif request.cache_key:
        losses.less("cache_control", request.path("prompt_cache_key"))
    if request.tier and caps.tier:
        written["service_tier"] = request.tier
    elif request.tier not in ("", "auto"):
        losses.less("service_tier", request.path("service_tier"))
    return written
