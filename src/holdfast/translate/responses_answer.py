"""An answer in the Responses dialect around its items: the echo of the request, the counts, the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .caller_errors import responses_code
from .context import Caller
from .events import BrokenOff, Stop, Usage, Why
from .form import FUNCTION, OFF, ON, Choice, Choose, Request, Shape, Tool

Wire = dict[str, Any]
_MODES = {Choose.AUTO: "auto", Choose.NONE: "none", Choose.ANY: "required"}
_ENDS = {
    Why.DONE: ("completed", "", ""),
    Why.TOOLS: ("completed", "", ""),
    Why.STOP_SEQUENCE: ("completed", "", ""),
    Why.LENGTH: ("incomplete", "", ""),
    Why.CONTEXT: ("failed", "context_length_exceeded", "the model's context is full"),
    Why.REFUSED: ("failed", "invalid_prompt", "the provider's filter or the model refused to answer"),
    Why.FAILED: ("failed", "server_error", "the provider's answer has no proper end"),
}
"""Why -> status, the code of the error, its sentence. An `incomplete` by a filter would make Codex repeat the
request, and a refusal of the model's would not be shown."""


def echo_of(caller: Caller) -> Wire:
    """Return the members of a response that repeat the request, or have one value here."""
    request = caller.request
    limits = request.limits
    return {
        "object": "response",
        "background": False,
        "error": None,
        "frequency_penalty": 0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": limits.max_output,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": request.parallel is not OFF,
        "presence_penalty": 0,
        "previous_response_id": None,
        "prompt_cache_key": request.cache_key or None,
        "reasoning": _reasoning(request),
        "safety_identifier": None,
        "service_tier": request.tier or "default",
        "store": False,
        "temperature": _or_one(limits.temperature),
        "text": {"format": _format(request.shape)},
        "tool_choice": _choice(request.choice),
        "tools": tools_of(request),
        "top_logprobs": 0,
        "top_p": _or_one(limits.top_p),
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def end_of(stop: Stop | None) -> tuple[str, Wire]:
    """Return the status of a response that stopped, and the members that tell why."""
    status, code, sentence = _ENDS[Why.FAILED]
    if stop is not None:
        status, code, sentence = _ENDS[stop.why]
        sentence = stop.text or sentence
    if status == "failed":
        return status, {"error": {"code": code, "message": sentence}}
    if status == "incomplete":
        return status, {"incomplete_details": {"reason": "max_output_tokens"}}
    return status, {}


def end_of_broken(broken: BrokenOff) -> tuple[str, Wire]:
    """Return the status of a response that broke off, and the members that tell why."""
    return "failed", {"error": {"code": responses_code(broken), "message": broken.text}}


def usage_of(usage: Usage) -> Wire | None:
    """Return the counts; None if the provider did not tell them. Codex fails without all the details."""
    if usage.input is None or usage.output is None:
        return None
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "cache_write_tokens": usage.cache_write or 0,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.thinking or 0},
        "total_tokens": usage.input + usage.output,
    }


def tools_of(request: Request) -> list[Wire]:
    """Return the tools of a request as the caller wrote them."""
    tools: list[Wire] = []
    groups: dict[str, Wire] = {}
    for tool in request.tools:
        if not tool.group:
            tools.append(_tool(tool))
            continue
        if tool.group not in groups:
            groups[tool.group] = {
                "type": "namespace",
                "name": tool.group,
                "description": tool.group,
                "tools": [],
            }
            tools.append(groups[tool.group])
        groups[tool.group]["tools"].append(_tool(tool))
    return tools


def _tool(tool: Tool) -> Wire:
    if tool.kind is not FUNCTION:
        return dict(tool.raw) or {"type": "custom", "name": tool.name}
    written: Mapping[str, Any] = tool.raw
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.schema,
        "strict": tool.strict is ON,
        **written,
    }


def _choice(choice: Choice | None) -> str | Wire:
    if choice is None:
        return "auto"
    if choice.mode is Choose.ONE:
        return {"type": "function", "name": choice.name}
    return _MODES[choice.mode]


def _format(shape: Shape | None) -> Wire:
    if shape is None:
        return {"type": "text"}
    if shape.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": shape.name,
        "description": shape.description or None,
        "schema": shape.schema,
        "strict": shape.strict is ON,
    }


def _reasoning(request: Request) -> Wire:
    summary = None
    if request.effort.shown:
        summary = "auto"
    return {"effort": request.effort.level or None, "summary": summary}


def _or_one(value: float | None) -> float:
    if value is None:
        return 1.0
    return value
