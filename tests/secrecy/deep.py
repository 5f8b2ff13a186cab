"""Searches all that the frames of an error hold for a text."""

from __future__ import annotations

import gc
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.values.secret import Secret

_LEFT_OUT = (
    Secret,  # keeps its value to itself, by its tests
    types.ModuleType,
    type,
    types.FrameType,
    types.BuiltinFunctionType,
    types.CodeType,
    type(os.environ),  # the user's own, in plain text from the start
)
_MOST = 400_000


def frames_of(error: BaseException) -> Iterator[types.FrameType]:
    """Every frame of an error, of its causes, its contexts and the errors of its group."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        step = each.__traceback__
        while step is not None:
            yield step.tb_frame
            step = step.tb_next
        left += (each.__cause__, each.__context__, *getattr(each, "exceptions", ()))


def holders(error: BaseException, text: str, own: str) -> set[str]:
    """Where the frames of `error` hold `text`, deeply, also as bytes: `file function variable`. Frames of the
    file `own` do not count."""
    matches: set[str] = set()
    search = _Search(text)
    for frame in frames_of(error):
        if frame.f_code.co_filename == own:
            continue
        where = f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_name}"
        matches |= {f"{where} {name}" for name, value in frame.f_locals.items() if search.finds_it_in(value)}
    matches |= {
        f"{type(error).__name__} {name}" for name, value in vars(error).items() if search.finds_it_in(value)
    }
    return matches


class _Search:
    """Looks for a text in all that a value leads to. What led nowhere once is not walked through again: the
    frames of an error share most of what they hold."""

    def __init__(self, text: str) -> None:
        self._text, self._raw = text, text.encode()
        self._clean: dict[int, Any] = {}  # by id; the values are kept, so that no id is used twice

    def finds_it_in(self, value: Any) -> bool:
        seen: dict[int, Any] = {}
        left = [value]
        while left and len(seen) < _MOST:
            each = left.pop()
            if id(each) in seen or id(each) in self._clean or isinstance(each, _LEFT_OUT):
                continue
            seen[id(each)] = each
            if self._is_it(each):
                return True
            left += _parts(each)
        if not left:
            self._clean |= seen
        return False

    def _is_it(self, each: Any) -> bool:
        if isinstance(each, str):
            return self._text in each
        return isinstance(each, bytes | bytearray | memoryview) and self._raw in bytes(each)


def _parts(each: Any) -> list[Any]:
    if isinstance(each, types.FunctionType):
        return [cell.cell_contents for cell in each.__closure__ or () if cell != types.CellType()]
    parts = gc.get_referents(each)
    for attribute in ("gi_frame", "cr_frame", "ag_frame"):
        frame = getattr(each, attribute, None) if isinstance(each, _SUSPENDED) else None
        if frame is not None:
            parts += frame.f_locals.values()
    return parts


_SUSPENDED = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
