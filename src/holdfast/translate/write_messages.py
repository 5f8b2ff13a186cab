"""Writes a request for an endpoint that speaks Anthropic Messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .context import Target
from .form import OFF, SERVED, Call, Choice, Choose, Request, Tool, Turn
from .names import wire_name
from .offers import NO_ARGUMENTS, checked_choice, function_of, own_tools
from .turns import check_end, paired, told_by_the_user, words_first
from .write_messages_blocks import blocks_of, cleaned
from .write_messages_thinking import write_thinking

_CHOICES = {Choose.AUTO: "auto", Choose.NONE: "none", Choose.ANY: "any", Choose.ONE: "tool"}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_CHOICES_OF_SCHEMAS = ("oneOf", "anyOf", "allOf")
"""Members that the outermost schema of a tool may not have; they are told in words."""
_OFF = {"type": "disabled"}
_SEARCH = {"max_uses": int, "allowed_domains": list, "blocked_domains": list, "user_location": Mapping}


def write(request: Request, target: Target) -> dict[str, Any]:
    """Return the request's JSON object. Raises Untranslatable."""
    body: dict[str, Any] = {"model": target.model, "max_tokens": _max_tokens(request, target)}
    system, turns = _turns(request, target)
    if system:
        body["system"] = system
    body["messages"] = [_message(turn, target) for turn in turns]
    _tools(body, request, target, turns)
    write_thinking(body, request, target, turns)
    _shape(body, request, target)
    _sampling(body, request, target)
    if request.limits.stop:
        body["stop_sequences"] = _stops(request, target)
    _hints(body, request, target)
    if request.stream:
        body["stream"] = True
    return body


def _stops(request: Request, target: Target) -> list[str]:
    stops = request.limits.stop
    if not target.caps.stop_limit:
        target.losses.refuse(request.path("stop"), "the endpoint stops at no text of the caller's")
    if any(not stop.strip() for stop in stops):
        target.losses.refuse(request.path("stop"), "the endpoint takes no blank text to stop at")
    return list(stops)


def _max_tokens(request: Request, target: Target) -> int:
    wanted, limit = request.limits.max_output, target.caps.max_output
    if wanted is None and limit is None:
        what = f"the endpoint wants to know how long an answer of '{target.model}' may be"
        row = f'models = [{{ id = "{target.model}", output = N }}]'
        step = (
            f"send max_tokens, or write {row}, with the model's own limit, into its provider in holdfast.toml"
        )
        target.losses.refuse(request.path("max_tokens"), what, step)
    if wanted is None or limit is None:
        return wanted or limit or 0
    if wanted > limit:
        target.losses.less("max_tokens", request.path("max_tokens"))
    return min(wanted, limit)


def _turns(request: Request, target: Target) -> tuple[str, list[Turn]]:
    """Return the system's words, and the turns of the conversation."""
    words, others = words_first(request.turns)
    caps, losses = target.caps, target.losses
    if len(others) == 1:
        caps = replace(caps, mid_system=False)
    turns = [cleaned(turn, target, request.model) for turn in told_by_the_user(others, caps, losses)]
    turns = paired(turns, caps, losses)
    if not turns:
        check_end("", "", request, target)
    check_end(turns[-1].role.value, turns[-1].at, request, target)
    return words, turns


def _message(turn: Turn, target: Target) -> dict[str, Any]:
    return {"role": turn.role.value, "content": blocks_of(turn.parts, target)}


def _tools(body: dict[str, Any], request: Request, target: Target, turns: Iterable[Turn]) -> None:
    tools = own_tools(request, target)
    choice = checked_choice(request, tools, target)
    if not tools:
        body |= _called_tools(turns, target)
        return
    body["tools"] = _offered(tools, target)
    written = _choice(choice)
    if request.parallel is OFF and written.get("type") != "none":
        if target.caps.parallel_flag:
            written = {"type": "auto", **written, "disable_parallel_tool_use": True}
        else:
            target.losses.less("parallel", request.path("parallel_tool_calls"))
    if written:
        body["tool_choice"] = written


def _called_tools(turns: Iterable[Turn], target: Target) -> dict[str, Any]:
    """Return the tools of earlier calls, of which none may be called: the dialect wants tools where there are
    calls, and the caller offers none any more."""
    calls = [part for turn in turns for part in turn.parts if isinstance(part, Call)]
    names = dict.fromkeys(wire_name(call.group, call.name) for call in calls)
    if not names or not target.caps.tool_choice:
        return {}
    tools = [{"name": name, "input_schema": NO_ARGUMENTS} for name in names]
    return {"tools": tools, "tool_choice": {"type": "none"}}


def _offered(tools: Iterable[Tool], target: Target) -> list[dict[str, Any]]:
    """Return the tools, each name once. A function of the caller's hides a search of the same name."""
    made: dict[str, dict[str, Any]] = {}
    for tool in tools:
        written = _tool(tool, target)
        other = made.setdefault(written["name"], written)
        if "type" in other and "type" not in written:
            made[written["name"]] = written
        if ("type" in other) is not ("type" in written):
            target.losses.less("web_search", tool.at)
    return list(made.values())


def _choice(choice: Choice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    if choice.mode is Choose.ONE:
        return {"type": "tool", "name": wire_name(choice.group, choice.name)}
    return {"type": _CHOICES[choice.mode]}


def _search(tool: Tool, target: Target) -> dict[str, Any]:
    """Return the members of the endpoint's own search. Domains are a bound, its extent is a hint."""
    given = dict(tool.raw)
    if isinstance(given.get("filters"), Mapping):
        given |= given["filters"]
    if given.get("search_context_size"):
        target.losses.less("web_search", tool.at)
    return {name: given[name] for name, kind in _SEARCH.items() if isinstance(given.get(name), kind)}


def _in_words(choices: Mapping[str, Any], tool: Tool, target: Target) -> str:
    try:
        return f"The arguments must also fit {json.dumps(choices, ensure_ascii=False)}"
    except RecursionError:
        target.losses.refuse(tool.at, "the schema of the tool is too deep to be told in words")


def _tool(tool: Tool, target: Target) -> dict[str, Any]:
    if tool.kind is SERVED:
        return {"type": target.caps.web_search, "name": "web_search", **_search(tool, target)}
    function = function_of(tool, target)
    schema, description = dict(function.schema), function.description
    choices = {name: schema.pop(name) for name in _CHOICES_OF_SCHEMAS if name in schema}
    if choices:
        target.losses.less("strict", tool.at)
        description = f"{description}\n\n{_in_words(choices, tool, target)}".strip()
    made: dict[str, Any] = {"name": function.name, "input_schema": schema}
    if description:
        made["description"] = description
    if function.strict:
        made["strict"] = True
    return made


def _sampling(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write temperature, top_p and top_k where the endpoint takes them: not beside thinking, and only one of
    the first two. For 1, which changes nothing, nothing is written."""
    limits, losses = request.limits, target.losses
    thinks = body.get("thinking", _OFF) != _OFF
    free = target.caps.temperature and not thinks
    if limits.temperature not in (None, 1):
        if free:
            body["temperature"] = min(limits.temperature, 1)
        if body.get("temperature") != limits.temperature:
            losses.less("temperature", request.path("temperature"))
    if limits.top_p not in (None, 1):
        if free and "temperature" not in body:
            body["top_p"] = limits.top_p
        else:
            losses.less("temperature", request.path("top_p"))
    if limits.top_k is not None:
        if target.caps.top_k and not thinks:
            body["top_k"] = limits.top_k
        else:
            losses.less("top_k", request.path("top_k"))


def _shape(body: dict[str, Any], request: Request, target: Target) -> None:
    shape, path = request.shape, request.path("response_format")
    if shape is None:
        return
    if not target.caps.schema:
        target.losses.refuse(path, "the endpoint cannot be held to a schema", "ask for the form in words")
    if shape.schema is None:
        target.losses.refuse(path, "JSON without a schema cannot be asked for", "give a json_schema")
    if shape.description:
        target.losses.less("unknown_member", f"{path}.description")
    body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": shape.schema}


def _hints(body: dict[str, Any], request: Request, target: Target) -> None:
    losses = target.losses
    tier = _TIERS.get(request.tier, "")
    if tier and target.caps.tier:
        body["service_tier"] = tier
    elif request.tier and not tier:
        losses.less("service_tier", request.path("service_tier"))
    if request.verbosity:
        losses.less("verbosity", request.path("verbosity"))
    if target.caps.cache_mark and (request.cache_key or target.cache_key):
        body["cache_control"] = {"type": "ephemeral"}
    elif request.cache_key:
        losses.less("cache_control", request.path("prompt_cache_key"))
