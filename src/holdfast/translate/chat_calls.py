"""The calls of an answer in the chat dialect: pieces in any order become slots, each call whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .arguments import Arguments
from .events import Close, Delta, Event, Open, Sealed
from .form import Call, Opaque, Seal
from .lenient import json_of, members_of, text_of
from .names import call_id, made_id
from .provider_errors import Senseless, senseless

EMPTY = "{}"
"""What some servers send as the first piece of the arguments, before the arguments themselves."""
NULL = "null"
"""The arguments with which some models call a tool that takes none."""
_VENDORS = ("google", "vertex")
_ANOTHER, _BETWEEN = re.compile(r"^\s*\{|\}\s*\{"), re.compile(r"\}\s*\{")
"""Where an object may follow another one: behind what came, or in one piece."""


@dataclass(slots=True, eq=False)
class _Call:
    id: str = ""
    name: str = ""
    index: int | None = None
    slot: int = -1
    args: Arguments = field(default_factory=Arguments)
    seal: Seal | None = None
    placeholder: bool = False
    closed: bool = False

    @property
    def opened(self) -> bool:
        return self.slot >= 0


class Calls:
    """Keeps the calls by the provider's `index`.

    A call is opened when its first arguments come, since its name may come in pieces. It is closed as soon as
    its arguments are whole and something else goes on, so that the caller may begin with it.
    """

    __slots__ = ("_all", "_by_index", "_ids", "_last", "_mark", "_new_slot", "_seed")

    def __init__(self, new_slot: Callable[[], int], mark: str, seed: str) -> None:
        self._new_slot, self._mark, self._seed = new_slot, mark, seed
        self._by_index: dict[int, _Call] = {}
        self._all: list[_Call] = []
        self._ids: set[str] = set()
        self._last: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._all)

    def feed(self, piece: Mapping[str, Any], out: list[Event]) -> None:
        """Take a member of `tool_calls`."""
        if self._goes_on(piece, out):
            return
        function = members_of(piece.get("function")) or piece
        name, given = text_of(function.get("name")), text_of(piece.get("id"))
        args = json_of(function.get("arguments") or function.get("parameters") or "") or ""
        if not (name or given or args):
            return
        call = self._find(piece.get("index"), given, name, args)
        repeated = name == call.name and bool(args or (given and given == call.id))
        if call is not self._last:
            self.leave(out)
            self._last = call
        call.id = call.id or given
        if "extra_content" in piece:
            self._seal(call, members_of(piece["extra_content"]), out)
        if name and not call.opened and not repeated:
            call.name += name
        while args:
            end = _end_in(call, args)
            if end:
                self._more(call, args[:end], out)
            args = args[end:]
            if not args.strip() or args.strip() == call.args.text.strip():
                return  # some servers repeat the whole arguments at the end of a call
            if not call.placeholder:
                call = self._another(call, out)

    def _another(self, call: _Call, out: list[Event]) -> _Call:
        """Begin another call of the same tool."""
        self.leave(out)
        self._last = new = _Call(name=call.name, index=call.index)
        self._all.append(new)
        if call.index is not None:
            self._by_index[call.index] = new
        return new

    def _goes_on(self, piece: Mapping[str, Any], out: list[Event]) -> bool:
        """Take what nearly every piece is: more arguments of the last call. Return whether it is that."""
        call, function = self._last, piece.get("function")
        if call is None or not call.args or call.closed or call.index != piece.get("index", -1):
            return False
        if not isinstance(function, dict) or piece.get("id") or function.get("name"):
            return False
        args = function.get("arguments")
        if not isinstance(args, str) or "extra_content" in piece:
            return False
        if "{" in args and _ANOTHER.search(args):
            return False
        if args:
            self._say(call, args, out)
        return True

    def leave(self, out: list[Event]) -> None:
        """Open and close the last call as far as it can be: something else goes on."""
        call = self._last
        if call is None:
            return
        self._open(call, out)
        if not call.closed and call.args.read() is not None:
            self._close(call, out)

    def finish(self, out: list[Event], *, cut: bool) -> None:
        """Open what has not been opened. Close all, but leave open what was `cut` off."""
        for call in self._all:
            self._open(call, out)
            if call.placeholder or not (call.args or cut):
                self._say(call, EMPTY, out)
            if not (call.closed or cut):
                self._close(call, out)

    def are_whole(self) -> bool:
        """Return whether there are calls, and the arguments of all of them are whole."""
        return bool(self._all) and all(call.placeholder or call.args.read() is not None for call in self._all)

    def _find(self, index: object, given: str, name: str, args: str) -> _Call:
        """Return the call that a piece belongs to; a new one if it begins one."""
        call = self._last
        known = isinstance(index, int) and not isinstance(index, bool)
        if known:
            call = self._by_index.get(index)  # type: ignore[call-overload]
        own = given and self._own(index, given, name, known=known)
        if own:
            return own
        if call is None or _begins(call, given, name, args, known=known):
            call = _Call()
            self._all.append(call)
            if known:
                call.index = index  # type: ignore[assignment]
                self._by_index[index] = call  # type: ignore[index]
        return call

    def _own(self, index: object, given: str, name: str, *, known: bool) -> _Call | None:
        """Return the call with the id of a piece that goes on with it, though other calls came between."""
        for call in self._all:
            begun = call.id == given and (not known or call.index == index)
            if begun and (not name or (name == call.name and call.args.read() is None)):
                return call
        return None

    def _open(self, call: _Call, out: list[Event]) -> None:
        if call.opened:
            return
        if not call.name:
            raise Senseless(senseless("calls a tool without naming it"))
        call.slot = self._new_slot()
        name = call.id or made_id("call_", self._seed, call.slot)
        if name in self._ids:
            name = call_id(name, salt=str(call.slot))
        self._ids.add(name)
        if call.seal is not None:
            call.seal = Seal(call.seal.kind, call.seal.value, call.seal.mark, name)
        out.append(Open(call.slot, Call(name, call.name, seal=call.seal)))

    def _more(self, call: _Call, args: str, out: list[Event]) -> None:
        self._open(call, out)
        if call.closed:
            if args.strip():
                raise Senseless(senseless("goes on with a call that was complete"))
            return
        if args in (EMPTY, NULL) and not call.args and not call.placeholder:
            call.placeholder = True
            return
        if call.placeholder:
            call.placeholder = False
            if not args.lstrip().startswith("{"):
                self._say(call, EMPTY, out)
        self._say(call, args, out)

    @staticmethod
    def _say(call: _Call, args: str, out: list[Event]) -> None:
        call.args.feed(args)
        out.append(Delta(call.slot, args))

    @staticmethod
    def _close(call: _Call, out: list[Event]) -> None:
        call.closed = True
        out.append(Close(call.slot))

    def _seal(self, call: _Call, extra: Mapping[str, Any], out: list[Event]) -> None:
        """Keep the vendor's signature of a call."""
        for vendor in _VENDORS:
            signature = text_of(members_of(extra.get(vendor)).get("thought_signature"))
            if signature:
                value = {vendor: {"thought_signature": signature}}
                call.seal = Seal(Opaque.THOUGHT, value, self._mark, call.id)
                if call.opened and not call.closed:
                    out.append(Sealed(call.slot, call.seal))


def _end_in(call: _Call, args: str) -> int:
    """Return how many letters of more arguments are the call's: behind a whole object begins another call."""
    if (_ANOTHER if call.args else _BETWEEN).search(args) is None:
        return len(args)
    return call.args.end_in(args)


def _begins(call: _Call, given: str, name: str, args: str, *, known: bool) -> bool:
    """Return whether a piece begins another call than `call`, which has its index, or is the last one where
    there is no index (`known` is False)."""
    if given and given == call.id:
        return False
    if given and call.id:
        return bool(name) or not args  # some servers make up a new id for every piece of the arguments
    if not known:
        return bool(name or given)
    if name and call.args.read() is not None:
        return bool(args) or name != call.name
    return bool(name) and call.placeholder and name != call.name
