"""The command line: `main()` is the program `holdfast`. Without the packages that it needs, it says how to
install them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .root import app

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (docs/reference/cli.md)."""
    from .. import distribution

    if not distribution.runs_here():
        print(f"holdfast: {distribution.NOT_HERE}\n  run: {distribution.INSTEAD}", file=sys.stderr)
        return 2
    _end_in_order()
    try:
        from .root import app
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        command = distribution.install_command("cli")
        print(f"holdfast: the command line needs the package 'click'\n  run: {command}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if arguments is None:
        arguments = sys.argv[1:]
    return app.run(arguments)


def _end_in_order() -> None:
    """Let the signals that end a program end it as an exit does, which waits for a renewal that is under
    way."""

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def __getattr__(name: str) -> Any:
    """Return `app`, the click group, which is loaded on first use."""
    if name != "app":
        raise AttributeError(name)
    from .root import app

    return app
