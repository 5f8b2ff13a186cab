"""What an endpoint takes of its dialect: data, from presets, profiles and the user's configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caps:
    """The abilities of an endpoint and of the model that is asked. The defaults are what most servers of the
    dialect take; a value of False means that the endpoint was seen to refuse or to ignore it.

    chat only:
    files                 a `file` part with data
    developer             the role `developer`
    max_tokens            the name of the member for the limit of output
    reasoning_back        wants `reasoning_content` of its own earlier turns back (DeepSeek and others)
    stop_limit            how many stop sequences
    usage_asked           `stream_options.include_usage`
    think_tags            thoughts come as <think>...</think> at the start of the content
    done                  ends a stream with [DONE]; without it, a finish_reason is enough
    json_object           response_format json_object

    all:
    input                 the kinds of input that the model reads; () where that is not known
    tools                 tools of the caller's
    image_urls            images by address
    mid_system            words of the system after the first user's turn
    strict                `strict` of a function
    parallel_flag         one call at a time can be asked for
    schema                the answer's schema
    cache_key             `prompt_cache_key`
    cache_mark            the top-level `cache_control` of Messages
    top_k, seed, penalties, temperature, verbosity, prefill, tool_choice   taken at all
    efforts               the levels of effort that it takes, lowest first; () where it takes none
    effort_off            the level that turns thinking off; "" where there is none; "disabled" where chat
                          wants `thinking: {"type": "disabled"}` instead of a level
    tier                  `service_tier`
    thinking              Messages: how thinking is asked for: "adaptive", "budget" or "" for none
    max_output            the model's own limit of output in tokens; None where it is not known
    call_id               what an id of a call looks like: "" for [A-Za-z0-9_-]{1,64}, or "mistral"
    fill_missing          a call without a result is given one, instead of being refused
    web_search            the name of the endpoint's own search tool; "" where there is none
    """

    files: bool = False
    developer: bool = False
    max_tokens: str = "max_tokens"
    reasoning_back: bool = False
    stop_limit: int = 4
    usage_asked: bool = True
    think_tags: bool = False
    done: bool = True
    json_object: bool = True
    input: tuple[str, ...] = ()
    tools: bool = True
    image_urls: bool = True
    mid_system: bool = False
    strict: bool = True
    parallel_flag: bool = True
    schema: bool = True
    cache_key: bool = False
    cache_mark: bool = False
    top_k: bool = False
    seed: bool = True
    penalties: bool = True
    temperature: bool = True
    verbosity: bool = False
    prefill: bool = False
    tool_choice: bool = True
    efforts: tuple[str, ...] = ("low", "medium", "high")
    effort_off: str = ""
    tier: bool = False
    thinking: str = ""
    max_output: int | None = None
    call_id: str = ""
    fill_missing: bool = True
    web_search: str = ""


VERBOSITIES = ("low", "medium", "high")
LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All levels of effort, lowest first."""


def effort_for(caps: Caps, level: str) -> str:
    """Return the endpoint's level that is nearest to `level`, the lower of two; "" where it takes none."""
    if level == "none":
        return caps.effort_off
    if not caps.efforts or level not in LEVELS:
        return ""
    wanted = LEVELS.index(level)
    return min(caps.efforts, key=lambda known: (abs(LEVELS.index(known) - wanted), LEVELS.index(known)))


def level_of_budget(budget: int, most: int | None) -> str:
    """Return the level of effort of a budget in tokens: by its third of the answer's limit `most`."""
    if not most:
        return "medium"
    return ("low", "medium", "high")[min(2, 3 * budget // most)]
