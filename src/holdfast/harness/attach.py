"""`connect` and its way back: members added to a program's own configuration file, and a receipt of exactly
that.

Nothing that stands there is ever overwritten. Undoing gives back the very bytes when the file is as we left
it; when somebody changed it meanwhile, ours go and theirs stay (base from the receipt, theirs, ours), and
what they made of ours is theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

from .._files import NotRead, cannot, quoted, read_regular, remove_drafts, write_keeping_mode
from ..core.errors import CannotHandOver, ConfigError
from . import jsonc
from .base import Attachment

Write = Callable[[Path, str], None]
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one `connect` did to one file: which members were added with which values, which objects above
    them were made (`made`), and the one splice that turns `after` back into `before` (both as SHA-256;
    `before` is "" where there was no file)."""

    harness: str
    path: str
    root: str
    token: str
    members: tuple[tuple[tuple[str, ...], object], ...]
    made: tuple[tuple[str, ...], ...]
    before: str
    after: str
    at: int
    removed: str
    inserted: str


def place(attachment: Attachment, environ: Mapping[str, str]) -> Path:
    """The file that the program reads: the one that exists, else the one that it would make."""
    directory = Path(
        environ.get(attachment.variable) or Path(environ.get("HOME", "~")).expanduser() / attachment.directory
    )
    found = [directory / name for name in attachment.names]
    return next((one for one in found if one.is_file()), found[-1])


def connect(harness: str, attachment: Attachment, path: Path, root: str, token: str, keep: Write) -> Receipt:
    """Add the members to the file, and keep the receipt first (`keep` writes it). Raises CannotHandOver when
    one of them is the user's already, ConfigError when the file cannot be read, understood or written."""
    remove_drafts(path)
    for _ in range(_TRIES):
        text = _read(path)
        _unclaimed(path, text, attachment)
        edited, made = attachment.whole or text or "", []
        for member, value in attachment.members:
            made += [
                member[:depth] for depth in range(1, len(member)) if not jsonc.has(edited, member[:depth])
            ]
            edited = jsonc.put(edited, member, value)
        at, removed, inserted = _splice(text or "", edited)
        receipt = Receipt(
            harness,
            str(path),
            root,
            token,
            attachment.members,
            tuple(made),
            _hash(text),
            _hash(edited),
            at,
            removed,
            inserted,
        )
        keep(path, json.dumps(asdict(receipt)))
        if _read(path) == text:
            write_keeping_mode(path, edited)
            return receipt
    raise ConfigError(
        f"{path} keeps changing while it is edited: the program is running",
        next_step=f"holdfast connect {harness}   (once it has ended)",
    )


def disconnect(receipt: Receipt) -> list[str]:
    """Take back what the receipt says; the members that somebody changed meanwhile are left to them and told.
    Raises ConfigError."""
    path = Path(receipt.path)
    remove_drafts(path)
    for _ in range(_TRIES):
        text = _read(path)
        if text is None:
            return []
        restored, kept = _restored(receipt, text)
        if _read(path) != text:
            continue
        if restored is None:
            path.unlink()
        elif restored != text:
            write_keeping_mode(path, restored)
        return kept
    raise ConfigError(
        f"{path} keeps changing while it is edited: the program is running",
        next_step=f"holdfast disconnect {receipt.harness}   (once it has ended)",
    )


def drift(receipt: Receipt, root: str) -> str:
    """What is no longer as it was connected; "" when all is. `root` is where the gateway listens now."""
    if root != receipt.root:
        return f"{receipt.path} points to {receipt.root}, and the gateway listens at {root}"
    if not Path(receipt.token).is_file():
        return f"{receipt.path} looks for its token in {receipt.token}, which is gone"
    try:
        text = _read(Path(receipt.path))
        if text is None:
            return f"{receipt.path} is gone"
        if not receipt.members:
            return (
                "" if _hash(text) == receipt.after else f"{receipt.path} was changed since it was connected"
            )
        gone = [".".join(member) for member, value in receipt.members if jsonc.get(text, member) != value]
    except (ConfigError, jsonc.MalformedJsonc):
        return f"{receipt.path} cannot be read or understood any more"
    return f"{receipt.path} was changed since it was connected: {', '.join(gone)}" if gone else ""


def receipt_of(text: str) -> Receipt:
    """A receipt as it was kept. Raises ConfigError for what is none."""
    try:
        told = json.loads(text)
        told["members"] = tuple((tuple(member), value) for member, value in told["members"])
        told["made"] = tuple(tuple(one) for one in told["made"])
        return Receipt(**told)
    except (ValueError, TypeError, KeyError):
        raise ConfigError("a receipt of `holdfast connect` is damaged", next_step="holdfast doctor") from None


def _unclaimed(path: Path, text: str | None, attachment: Attachment) -> None:
    """Raises CannotHandOver when something of the user's stands where ours would, ConfigError when the file
    cannot be understood."""
    if attachment.whole:
        taken = [str(path)] if text is not None else []
    else:
        try:
            jsonc.parse(text or "")
            taken = [".".join(member) for member, _ in attachment.members if _taken(text or "", member)]
        except jsonc.MalformedJsonc as error:
            raise ConfigError(
                f"{path} is not JSON: {error}; nothing was changed", next_step=f"${{EDITOR:-vi}} {path}"
            ) from None
    if taken:
        what = f"{path} says something of its user's where the connection would stand; nothing was changed"
        raise CannotHandOver(
            what,
            details=taken,
            next_step="holdfast run HARNESS   (needs no change there; or remove these and connect again)",
        )


def _taken(text: str, member: tuple[str, ...]) -> bool:
    above: object = next(
        (
            jsonc.get(text, member[:depth])
            for depth in range(len(member) - 1, 0, -1)
            if jsonc.has(text, member[:depth])
        ),
        {},
    )
    return jsonc.has(text, member) or not isinstance(above, dict)


def _restored(receipt: Receipt, text: str) -> tuple[str | None, list[str]]:
    """The text without ours (None: the file goes), and the members that are somebody else's now."""
    if _hash(text) == receipt.after:
        end = receipt.at + len(receipt.inserted)
        return (text[: receipt.at] + receipt.removed + text[end:] if receipt.before else None), []
    if not receipt.members:
        return text, [receipt.path]
    try:
        kept: list[str] = []
        for member, value in receipt.members:
            if jsonc.get(text, member) == value:
                text = jsonc.drop(text, member)
            elif jsonc.has(text, member):
                kept.append(".".join(member))
        for made in sorted(receipt.made, key=len, reverse=True):
            if jsonc.is_bare(text, made):
                text = jsonc.drop(text, made)
    except jsonc.MalformedJsonc as error:
        step = f"${{EDITOR:-vi}} {receipt.path}   (mend it, then: holdfast disconnect {receipt.harness})"
        raise ConfigError(
            f"{receipt.path} is not JSON any more: {error}; nothing was changed", next_step=step
        ) from None
    return (None if not receipt.before and jsonc.is_bare(text, ()) else text), kept


def _splice(before: str, after: str) -> tuple[int, str, str]:
    """The one change between two texts: where, what went, what came."""
    at = _common(before, after)
    tail = _common(before[at:][::-1], after[at:][::-1])
    return at, before[at : len(before) - tail], after[at : len(after) - tail]


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _read(path: Path) -> str | None:
    """Return the text of the user's file to the last byte; None where there is none. Raises ConfigError."""
    try:
        return read_regular(path).decode("utf-8")
    except FileNotFoundError:
        return None
    except (NotRead, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, NotRead) else "not UTF-8 text"
        raise ConfigError(f"cannot read {path}: it is {reason}", next_step=f"ls -ld {quoted(path)}") from None
    except OSError as error:
        raise cannot("read", path, error, ours=False) from None


def _hash(text: str | None) -> str:
    return sha256(text.encode()).hexdigest() if text is not None else ""
