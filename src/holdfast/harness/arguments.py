"""The arguments by which a user could make a program choose another connection."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest


def choosing(arguments: Sequence[str], chooses: Sequence[str], abbreviates: bool = False) -> list[str]:
    """Return the arguments that begin with one of the flags `chooses`: alone, with `=`, a short one also with
    its value attached, or (a flag with a space) together with the next argument. Arguments after `--` are
    text."""
    own = list(arguments)
    if "--" in own:
        own = own[: own.index("--")]
    return [
        argument
        for argument, following in zip_longest(own, own[1:], fillvalue="")
        if any(_is_flag(argument, following, flag, abbreviates) for flag in chooses)
    ]


def _is_flag(argument: str, following: str, flag: str, abbreviates: bool) -> bool:
    """Return whether an argument is a flag, or (`-c model`) a flag with a value that begins so."""
    flag, _, wanted = flag.partition(" ")
    name, equals, value = argument.partition("=")
    if len(flag) == len("-x") and argument.startswith(flag) and argument != flag:
        name, equals, value = flag, "=", argument.removeprefix(flag).removeprefix("=")
    if name != flag and not (abbreviates and len(name) > len("--") and flag.startswith(name)):
        return False
    if not equals:
        value = following
    return value.strip().startswith(wanted)
