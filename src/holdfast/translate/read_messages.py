"""Reads a request of the Messages API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .envelope import Sealer
from .fields import Fields
from .form import ASSISTANT, ON, SYSTEM, USER, Call, Effort, Limits, Part, Request, Result, Shape, Turn
from .losses import Losses
from .messages_blocks import Blocks, Holder
from .messages_served import NATIVE
from .messages_tools import read_choice, read_tools

_READ = frozenset(
    """
    model messages max_tokens system tools tool_choice stop_sequences temperature top_p top_k stream thinking
    output_config output_format service_tier speed inference_geo betas anthropic_beta anthropic_version
    """.split()
)
_LOST = {
    "cache_control": "cache_control",
    "context_management": "context_management",
    "diagnostics": "client_metadata",
    "fallback_credit_token": "fallbacks",
    "fallbacks": "fallbacks",
    "mcp_servers": "served_tools",
    "metadata": "user",
    "user_profile_id": "user",
    "workspace_id": "user",
}
_REFUSED = {
    "billing_policy": ("only Anthropic can send the bill to somebody else", NATIVE),
    "compaction": ("only Anthropic makes summaries that a conversation can begin with", NATIVE),
    "container": ("it names a container that only Anthropic has", NATIVE),
    "thread": ("it goes on from what only Anthropic remembers", NATIVE),
}
_PATHS = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "output_config.effort",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
}
_TIERS = {"auto": "auto", "standard_only": "default"}
_WITHIN = {
    "user": (USER, Holder.USER),
    "assistant": (ASSISTANT, Holder.ASSISTANT),
    "system": (SYSTEM, Holder.SYSTEM),
}
_THINKING = frozenset({"adaptive", "enabled", "disabled", "between_tools"})
_DISPLAYED = {"enabled": "summarized"}
"""How thoughts are shown where the caller does not say; for other ways to think, that is up to the model."""
_MEMBERS = frozenset({"role", "content"})
_SYSTEM_MEMBERS = _MEMBERS | {"clear_at", "output_config"}


def read(body: Mapping[str, Any], sealer: Sealer, losses: Losses) -> Request:
    """Return what a request asks for. Raises Untranslatable with the path of what is not understood."""
    try:
        return _Reader(Fields(body, "", losses), Blocks(sealer, losses), losses).request()
    except RecursionError:
        losses.refuse("", "the request is nested too deeply")


class _Reader:
    def __init__(self, body: Fields, blocks: Blocks, losses: Losses) -> None:
        self._body, self._blocks, self._losses = body, blocks, losses

    def request(self) -> Request:
        body, blocks = self._body, self._blocks
        body.forbid(_REFUSED)
        body.only(_READ, _LOST)
        model = body.needed("model")
        turns, level = self._turns()
        blocks.finish()
        choice, parallel = read_choice(body)
        if choice and choice.name:
            blocks.tools.offers.setdefault(choice.name, True)
        tools = read_tools(body, blocks.tools)
        if body.has("mcp_servers") and not tools:
            body.refuse(
                "mcp_servers", "Anthropic calls these servers, and no other tools are offered", NATIVE
            )
        return Request(
            model=model,
            turns=turns,
            tools=tools,
            choice=choice,
            parallel=parallel,
            limits=_limits(body, self._losses),
            shape=_shape(body),
            effort=_effort(body, level),
            tier=_tier(body),
            stream=body.flag("stream") is ON,
            paths=_PATHS,
        )

    def _turns(self) -> tuple[tuple[Turn, ...], str]:
        """Return the turns, and the level of effort that a message set."""
        turns: list[Turn] = []
        words = self._blocks.content(self._body, "system", Holder.SYSTEM)
        if words:
            turns.append(Turn(SYSTEM, tuple(words), "system"))
        messages = list(self._body.objects("messages"))
        speakers = [message.needed("role") for message in messages]
        last = max((number for number, speaker in enumerate(speakers) if speaker == "user"), default=0)
        effort = _EffortSoFar()
        for number, message in enumerate(messages):
            known = _WITHIN.get(speakers[number])
            if known is None:
                message.refuse("role", f"messages of the role '{speakers[number]}' are not known")
            role, holder = known
            parts = self._parts(message, holder)
            effort.take(message, parts)
            cleared = number < last and message.text("clear_at") == "next_user_message"
            if parts and not cleared:
                turns.append(Turn(role, tuple(parts), message.at))
        _find_missing_results(turns, self._losses)
        return tuple(turns), effort.level

    def _parts(self, message: Fields, holder: Holder) -> list[Part]:
        if holder is Holder.SYSTEM:
            message.only(_SYSTEM_MEMBERS)
        else:
            message.only(_MEMBERS)
            if message.raw.get("content") is None:
                message.refuse("content", "is missing")
        return self._blocks.content(message, "content", holder)


class _EffortSoFar:
    """The level of effort as messages change it: from the user's turn before the change, if it said something
    new, else from the next one that does."""

    def __init__(self) -> None:
        self.level, self._next, self._asked = "", "", False

    def take(self, message: Fields, parts: list[Part]) -> None:
        """Take the next message."""
        speaker = message.text("role")
        if speaker == "system":
            config = message.inner("output_config")
            self._next = (config and config.text("effort")) or self._next
        else:
            self._asked = speaker == "user" and any(type(part) is not Result for part in parts)
        if self._asked and self._next:
            self.level, self._next = self._next, ""


def _find_missing_results(turns: list[Turn], losses: Losses) -> None:
    """Refuse a call that the user's messages after it do not answer, as the Messages API does."""
    calls: dict[str, str] = {}
    answered = False
    for turn in turns:
        if turn.role is ASSISTANT and answered:
            _refuse_first(calls, losses)
            calls, answered = {}, False
        answered = answered or turn.role is USER
        for part in turn.parts:
            if isinstance(part, Call):
                calls[part.id] = part.at
            elif isinstance(part, Result):
                calls.pop(part.call, None)
    _refuse_first(calls, losses)


def _refuse_first(calls: Mapping[str, str], losses: Losses) -> None:
    for call, at in calls.items():
        losses.refuse(at, f"the call '{call}' has no result in the message after it")


def _limits(body: Fields, losses: Losses) -> Limits:
    most = body.count("max_tokens")
    if most == 0:
        body.refuse("max_tokens", "0 fills a cache that only Anthropic has")
    stops = []
    for at, stop in body.items("stop_sequences"):
        if not isinstance(stop, str):
            losses.refuse(at, "must be a string")
        stops.append(stop)
    return Limits(
        max_output=most,
        stop=tuple(stops),
        temperature=body.number("temperature"),
        top_p=body.number("top_p"),
        top_k=body.count("top_k"),
    )


def _shape(body: Fields) -> Shape | None:
    """Return the schema of the answer, which the Messages API follows to the letter."""
    config = body.inner("output_config")
    wish = (config and config.inner("format")) or body.inner("output_format")
    if wish is None:
        return None
    if wish.needed("type") != "json_schema":
        wish.refuse("type", f"'{wish.text('type')}' is not a known form of an answer")
    wish.only({"type", "schema"})
    schema = wish.mapping("schema")
    if schema is None:
        wish.refuse("schema", "is missing")
    return Shape(schema, strict=ON)


def _effort(body: Fields, level: str) -> Effort:
    """Return how much to think; `level` is what a message changed it to."""
    config, thinking = body.inner("output_config"), body.inner("thinking")
    if config:
        config.only({"effort", "format"}, {"task_budget": "effort"})
        level = level or config.text("effort")
    if thinking is None:
        return Effort(level)
    kind = thinking.needed("type")
    if kind not in _THINKING:
        thinking.refuse("type", f"'{kind}' is not a known way to think")
    thinking.only({"type", "budget_tokens", "display", "block_binding"})
    if kind == "disabled":
        return Effort("none")
    shown = thinking.text("display", _DISPLAYED.get(kind, "")) not in ("", "omitted")
    return Effort(level, thinking.count("budget_tokens"), shown=shown)


def _tier(body: Fields) -> str:
    """Return the class of service by its name in chat."""
    if body.text("inference_geo") not in ("", "global"):
        body.refuse("inference_geo", "the provider may not compute where you want it to", NATIVE)
    if body.text("speed") not in ("", "standard"):
        body.less("service_tier", "speed")
    tier = body.text("service_tier")
    return _TIERS.get(tier, tier)
