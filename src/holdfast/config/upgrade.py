"""`holdfast config upgrade`: replace the old words in holdfast.toml. Comments, order, layout and mode
stay."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .._files import cannot, creating, locked, quoted, write_keeping_mode
from ..core.config import Config
from ..core.errors import ConfigError
from .home import Home, byte_order_mark, document_of, read, understood
from .old_words import RENAMED, OldLine, can_upgrade, old_lines, problems, rewritten
from .positions import Lines


class Upgraded(NamedTuple):
    """The lines that were rewritten, and the copy of the file as it was; (), None if there was nothing to
    do."""

    lines: tuple[OldLine, ...]
    backup: Path | None


def upgrade(home: Home, first: Callable[[Config], None]) -> Upgraded:
    """Rewrite the old words of holdfast.toml. Raises ConfigError, also for a broken file; it stays as it is.

    `first` is called with the configuration just before the file is written, for what depends on the file as
    it was."""
    path = home.config
    if not path.exists():
        return Upgraded((), None)
    with locked(path):
        text = read(path)
        document = document_of(text, path)
        if not any(name in RENAMED for name in document):
            understood(text, path, Lines(text, path.name).locate, f"{path} is wrong:")
            return Upgraded((), None)
        after = rewritten(text)
        if not can_upgrade(document, text):
            what = f"{path} has old words that cannot be rewritten safely; nothing was changed:"
            step = f"${{EDITOR:-vi}} {quoted(path)}"
            raise ConfigError(what, problems=problems(document, text, path.name), next_step=step)
        otherwise = f"{path} has other mistakes, to be corrected first; nothing was changed:"
        first(understood(after, path, Lines(after, path.name).locate, otherwise))
        backup = _keep(path)
        try:
            write_keeping_mode(path, byte_order_mark(path) + after)
        except ConfigError:
            with suppress(OSError):
                backup.unlink()
            raise
        return Upgraded(tuple(old_lines(text)), backup)


def _keep(path: Path) -> Path:
    """Copy the file beside itself, under a new name, and return the copy. Raises ConfigError."""
    stem = f"{path.name}.backup-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while True:
        name = stem
        if number > 1:
            name = f"{stem}-{number}"
        backup = path.with_name(name)
        try:
            with creating(backup) as draft:
                shutil.copyfile(path, draft)
                shutil.copymode(path, draft)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise cannot("write", backup, error) from None
        else:
            return backup
