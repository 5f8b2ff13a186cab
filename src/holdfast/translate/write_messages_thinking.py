"""Writes how much a model is to think, for an endpoint that speaks Messages: by itself and with an effort, or
up to a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .caps import effort_for, level_of_budget
from .context import Target
from .form import Choose, Effort, Request, Result, Thinking, Turn

_LEAST_BUDGET = 1024
_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 0.95}
"""The share of an answer's tokens that each level of effort is, as OpenRouter counts it."""
_FORCED = (Choose.ANY, Choose.ONE)


def write_thinking(body: dict[str, Any], request: Request, target: Target, turns: Sequence[Turn]) -> None:
    """Write the members for thinking into a request whose `max_tokens` is written. Raises Untranslatable
    where thinking by a budget has to go on in the middle of calls, and what was thought is not there."""
    effort, caps = request.effort, target.caps
    if effort == Effort():
        return
    if effort.level == "none":
        _turn_off(body, request, target)
        return
    forced = request.choice is not None and request.choice.mode in _FORCED and "tools" in body
    if forced or not caps.thinking or (caps.thinking == "budget" and _is_stuck(request, target, turns)):
        _lose(request, target)
    elif caps.thinking == "budget":
        _write_budget(body, request, target)
    else:
        _write_adaptive(body, request, target)


def _turn_off(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write that the model is not to think. Where thinking has a budget, it is off without one."""
    if target.caps.effort_off:
        body["thinking"] = {"type": "disabled"}
    elif target.caps.thinking == "adaptive":
        _lose(request, target)


def _lose(request: Request, target: Target) -> None:
    name = "effort"
    if not request.effort.level and request.effort.budget is None:
        name = "summary"
    target.losses.less(name, request.path("reasoning_effort"))


def _is_stuck(request: Request, target: Target, turns: Sequence[Turn]) -> bool:
    """Return whether the model waits for results of calls before which it thought, and its thoughts are not
    there. A budget of the caller's own must then be refused; a level is only a hint."""
    thought, number = False, len(turns)
    while number >= 2 and any(isinstance(part, Result) for part in turns[number - 1].parts):
        thought = thought or any(isinstance(part, Thinking) for part in turns[number - 2].parts)
        number -= 2
    if thought or number == len(turns):
        return False
    if request.effort.budget is not None:
        why = "the model cannot go on thinking: what it thought before its calls did not come back"
        target.losses.refuse(
            request.path("thinking"), why, "send the earlier answers' reasoning, or no budget"
        )
    return True


def _write_budget(body: dict[str, Any], request: Request, target: Target) -> None:
    longest, effort = body["max_tokens"], request.effort
    wanted = effort.budget
    if wanted is None and effort.level in _SHARES:
        wanted = int(longest * _SHARES[effort.level])
    if wanted is None or longest <= _LEAST_BUDGET:
        _lose(request, target)
        return
    budget = min(max(wanted, _LEAST_BUDGET), longest - 1)
    if budget != effort.budget:
        _lose(request, target)
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _write_adaptive(body: dict[str, Any], request: Request, target: Target) -> None:
    effort, caps = request.effort, target.caps
    body["thinking"] = {"type": "adaptive"}
    if effort.shown:
        body["thinking"]["display"] = "summarized"
    wanted = effort.level
    if not wanted and effort.budget is not None:
        wanted = level_of_budget(effort.budget, body["max_tokens"])
    level = effort_for(caps, wanted)
    if level:
        body["output_config"] = {"effort": level}
    if level != effort.level:
        _lose(request, target)
