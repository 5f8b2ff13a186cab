"""What a translation takes away: told by a name of a published table, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from ..core.errors import HoldfastError
from ..values.secret import redact

LESS: dict[str, str] = {
    "anthropic_tools": "tools that Anthropic's models know are offered as plain functions",
    "audio_hint": "settings of spoken answers were left out",
    "cache_control": "marks of what is to be cached were left out",
    "citations": "citations were turned into text, left out, or are not asked for",
    "client_metadata": "the caller's own notes about itself were left out",
    "context_management": "the provider does not edit the context by itself",
    "defer_loading": "tools that load later are offered once they were found",
    "detail": "how closely to look at an image was left out",
    "effort": "how much to think was brought to a level that the endpoint knows, or left out",
    "error_flag": "a failed tool's result says so in its text",
    "examples": "examples of a tool's input were left out",
    "fallbacks": "other models for when the model refuses were left out",
    "file_name": "the name of a file was left out",
    "fill_missing": "an interrupted call was given the result 'interrupted'",
    "grammar": "the grammar of a tool's text is told to the model in words",
    "max_tokens": "the limit of output was brought to what the model can give, or the endpoint takes",
    "mid_system": "a later message of the system is told as the user's, in marks",
    "namespace": "tools of a namespace are offered one by one",
    "output_moved": "images or files of a tool's result follow it in a user's message",
    "parallel": "one call at a time cannot be asked for at the endpoint",
    "penalties": "penalties for repetition were left out",
    "reasoning_not_returned": "what the model thought cannot be given back to it",
    "seed": "the seed was left out",
    "served_history": "what tools at a provider gave is told as text",
    "service_tier": "the class of service was left out",
    "strict": "arguments of tools are not forced into their schema",
    "summary": "a summary of the thinking cannot be asked for",
    "temperature": "temperature and the like were left out or lowered",
    "thinking_of_another_model": "what another model thought was left out",
    "tool_search": "the search for tools is offered as a plain function",
    "top_k": "top_k was left out",
    "unknown_member": "members that are not known were left out",
    "unknown_tool": "the model called a tool that was not offered",
    "usage": "the provider did not tell its count of tokens",
    "user": "the name of the end user was left out",
    "verbosity": "how long the answer may be was left out",
    "web_search": "search by the provider is not offered",
    "served_tools": "tools that run at a provider are not offered",
}
"""Each name of the header `holdfast-translated`, and what it means."""


class Untranslatable(HoldfastError):
    """A request cannot be written in its endpoint's dialect without changing what it asks. `path` is the JSON
    path of the field. What path and reason repeat of the request is short, and without keys."""

    exit_code = 2

    def __init__(self, path: str, why: str = "", next_step: str = "", *, details: Iterable[str] = ()) -> None:
        self.path, self.why = redact(path, limit=200), redact(why, limit=400)
        super().__init__(": ".join(filter(None, (self.path, self.why))), details=details, next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"path": self.path}


class NotTranslated(HoldfastError):
    """A request on this route goes only to an endpoint of its own dialect, and the provider has none."""


class Losses:
    """The losses of one translation, in the order of the request. With `exact`, there may be none."""

    __slots__ = ("_exact", "_names")

    def __init__(self, *, exact: bool = False, names: Iterable[str] = ()) -> None:
        """Begin with the losses `names` of an earlier step."""
        self._exact = exact
        self._names = dict.fromkeys(names)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of LESS that were met, each once."""
        return tuple(self._names)

    def less(self, name: str, at: str) -> None:
        """Note that `name` of LESS happens to the field `at`. Raises Untranslatable where nothing may be
        taken away."""
        if self._exact:
            self.refuse(at, f'{LESS[name]}, which `translate = "exact"` does not allow')
        if name not in LESS:
            raise KeyError(name)
        self._names[name] = None

    def note(self, name: str) -> None:
        """Note that `name` of LESS happens to an answer, of which nothing can be refused any more."""
        self._names[name] = None

    def refuse(self, at: str, why: str, next_step: str = "") -> NoReturn:
        """Raise Untranslatable about the field `at`."""
        raise Untranslatable(at, why, next_step)
