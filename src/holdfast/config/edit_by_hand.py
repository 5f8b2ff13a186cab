"""An edit of holdfast.toml by its user: a draft that replaces the file only when it is correct."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from .._files import locked, quoted, write_private
from ..core.errors import ConfigError
from .home import Home, byte_order_mark, read, understood
from .positions import Lines

_AGAIN = "holdfast config edit   (goes on with the draft)"


def edit(home: Home, editor: Sequence[str]) -> bool:
    """Have the user edit a draft of holdfast.toml with `editor`, a command to which the file's path is added.
    Return False where the draft is like the file.

    A draft that an earlier edit left is gone on with. Raises ConfigError, and keeps the draft, when the
    editor fails, when the draft is wrong, or when the file was changed meanwhile."""
    before, draft = read(home.config), home.config.with_name(f"{home.config.name}.draft")
    if not draft.exists():
        write_private(draft, before)
    elif _changed_at(home.config) > _changed_at(draft):
        raise _changed_meanwhile(home.config, draft)
    _run([*editor, str(draft)])
    after = read(draft)
    if after == before:
        draft.unlink()
        return False
    locate = Lines(after, draft.name).locate
    try:
        understood(after, draft, locate, f"{home.config} was not changed, because the draft is wrong:")
    except ConfigError as error:
        raise ConfigError(error.what, problems=error.problems, next_step=_AGAIN) from None
    with locked(home.config):
        if read(home.config) != before:
            raise _changed_meanwhile(home.config, draft)
        write_private(home.config, byte_order_mark(home.config) + after)
    draft.unlink()
    return True


def _run(command: Sequence[str]) -> None:
    """Run the editor until its user ends it. Raises ConfigError when it cannot be run, or fails."""
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        what = f"the editor '{command[0]}' cannot be run: {error.strerror}"
        raise ConfigError(what, next_step="EDITOR=nano holdfast config edit") from None
    if done.returncode != 0:
        what = f"the editor '{command[0]}' ended with {done.returncode}; nothing was changed"
        raise ConfigError(what, next_step=_AGAIN)


def _changed_at(path: Path) -> int:
    """Return when a file was changed, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _changed_meanwhile(file: Path, draft: Path) -> ConfigError:
    return ConfigError(
        f"{file} was changed after your draft of it was begun; nothing was changed",
        next_step=f"diff {quoted(file)} {quoted(draft)}   (then remove the draft, and edit again)",
    )
