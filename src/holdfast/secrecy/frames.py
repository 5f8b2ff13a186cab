"""Errors without the frames in which they came to be.

The variables of a frame may hold a key or what was sent with it. Crash reports, `pytest -l`, rich's
`show_locals` and the like print them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_Error = TypeVar("_Error", bound=BaseException)
_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def bare(error: _Error) -> _Error:
    """Return an error without its frames, and without those of its causes and of the errors in its group."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        left += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
    return error


def without_frames(call: Callable[_Args, _Result]) -> Callable[_Args, _Result]:
    """Return a function that raises its errors without the frames below it."""

    @wraps(call)
    def outer(*args: _Args.args, **named: _Args.kwargs) -> _Result:
        try:
            return call(*args, **named)
        except BaseException as error:  # noqa: BLE001
            failed = bare(error)
        raise failed

    return outer
