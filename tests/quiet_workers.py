"""Workers of xdist that report what somebody reads.

For each test a worker tells its beginning, its set-up, its call, its tear-down and its end. The process that
hands out the tests needs one of the five when all is well, and the others are a third of what a small test
costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_BEGINS_AND_ENDS = frozenset({"logstart", "logfinish"})


def report_what_is_read(config: pytest.Config) -> None:
    """Have this worker keep to itself which tests begin and end, which set-ups and tear-downs pass, and what
    passing tests print. Do nothing outside a worker, or where the command line asks for any of it."""
    option = config.option
    asked_for = (
        option.verbose > 0 or option.durations is not None or option.xmlpath or "P" in option.reportchars
    )
    if asked_for or not hasattr(config, "workerinput"):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = _Quiet(plugin.sendevent)  # type: ignore[attr-defined]


class _Quiet:
    """Sends the events of a worker but those that nobody reads."""

    def __init__(self, send: Any) -> None:
        self._send = send

    def __call__(self, name: str, **event: Any) -> None:
        if name in _BEGINS_AND_ENDS:
            return
        if name == "testreport" and event["data"]["outcome"] == "passed":
            if event["data"]["when"] != "call":
                return
            event["data"] |= {"sections": [], "keywords": {}}
        self._send(name, **event)
