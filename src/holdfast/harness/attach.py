"""`connect` and `disconnect`: members added to a program's own configuration file, and a receipt for them.

Nothing in the file is ever overwritten. `disconnect` restores the same bytes if the file is unchanged since;
if it was changed, our members are removed, except those that were changed, and all others stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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
    """The record of one `connect` to one file: the members that were added with their values, the objects
    above them that were created (`made`), and the one splice that turns `after` back into `before` (both as
    SHA-256; `before` is "" where there was no file)."""

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


def config_path(attachment: Attachment, environ: Mapping[str, str]) -> Path:
    """Return the file that the program reads: the one that exists, else the one that it would create."""
    home = Path(environ.get("HOME", "~")).expanduser()
    directory = Path(environ.get(attachment.variable) or home / attachment.directory)
    paths = [directory / name for name in attachment.names]
    return next((path for path in paths if path.is_file()), paths[-1])


def connect(harness: str, attachment: Attachment, path: Path, root: str, token: str, keep: Write) -> Receipt:
    """Add the members to the file, after `keep` wrote the receipt; return the receipt. Raises CannotHandOver
    when the user has one of them already, ConfigError when the file cannot be read, understood or written."""
    remove_drafts(path)
    for _ in range(_TRIES):
        text = _read(path)
        _refuse_taken(path, text, attachment)
        edited = attachment.whole or text or ""
        made: list[tuple[str, ...]] = []
        for member, value in attachment.members:
            made += [above for above in _above(member) if not jsonc.has(edited, above)]
            edited = jsonc.put(edited, member, value)
        at, removed, inserted = _splice(text or "", edited)
        receipt = Receipt(
            harness=harness,
            path=str(path),
            root=root,
            token=token,
            members=attachment.members,
            made=tuple(made),
            before=_hash(text),
            after=_hash(edited),
            at=at,
            removed=removed,
            inserted=inserted,
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
    """Remove the members in the receipt; return those that were changed meanwhile, which stay. Raises
    ConfigError."""
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


def drift(receipt: Receipt, roots: Sequence[str]) -> str:
    """Return in words how the file differs from what `connect` wrote; "" when it does not. `roots` are the
    URLs of the gateways of now."""
    if receipt.root not in roots:
        where = " and ".join(roots)
        return f"{receipt.path} points to {receipt.root}, but the gateway listens at {where}"
    if not Path(receipt.token).is_file():
        return f"{receipt.path} reads its token from {receipt.token}, which is gone"
    try:
        text = _read(Path(receipt.path))
        if text is None:
            return f"{receipt.path} is gone"
        changed = [".".join(member) for member, value in receipt.members if jsonc.get(text, member) != value]
    except (ConfigError, jsonc.MalformedJsonc):
        return f"{receipt.path} can no longer be read or parsed"
    if changed:
        return f"{receipt.path} was changed since it was connected: {', '.join(changed)}"
    if not receipt.members and _hash(text) != receipt.after:
        return f"{receipt.path} was changed since it was connected"
    return ""


def receipt_of(text: str) -> Receipt:
    """Return a receipt from its text. Raises ConfigError when it is damaged."""
    try:
        fields = json.loads(text)
        fields["members"] = tuple((tuple(member), value) for member, value in fields["members"])
        fields["made"] = tuple(map(tuple, fields["made"]))
        return Receipt(**fields)
    except (ValueError, TypeError, KeyError):
        raise ConfigError("a receipt of `holdfast connect` is damaged", next_step="holdfast doctor") from None


def _refuse_taken(path: Path, text: str | None, attachment: Attachment) -> None:
    """Raise CannotHandOver when the user has a member that we would add, ConfigError when the file cannot be
    understood."""
    if attachment.whole:
        taken = []
        if text is not None:
            taken = [str(path)]
    else:
        taken = _taken_members(path, text or "", attachment)
    if taken:
        raise CannotHandOver(
            f"{path} has settings of yours that the connection would need; nothing was changed",
            details=taken,
            next_step="holdfast run HARNESS   (needs no change there; or remove these and connect again)",
        )


def _taken_members(path: Path, text: str, attachment: Attachment) -> list[str]:
    try:
        jsonc.parse(text)
        return [".".join(member) for member, _ in attachment.members if _is_taken(text, member)]
    except jsonc.MalformedJsonc as error:
        raise ConfigError(
            f"{path} is not JSON: {error}; nothing was changed", next_step=f"${{EDITOR:-vi}} {path}"
        ) from None


def _is_taken(text: str, member: tuple[str, ...]) -> bool:
    """Return whether a member is there, or a value that is not an object is in the place of one above it."""
    if jsonc.has(text, member):
        return True
    return any(
        jsonc.has(text, above) and not isinstance(jsonc.get(text, above), dict) for above in _above(member)
    )


def _above(member: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the paths of the objects above a member, the outermost first."""
    return [member[:depth] for depth in range(1, len(member))]


def _restored(receipt: Receipt, text: str) -> tuple[str | None, list[str]]:
    """Return the text without our members (None: remove the file), and those of them that were changed."""
    if _hash(text) == receipt.after:
        if not receipt.before:
            return None, []
        end = receipt.at + len(receipt.inserted)
        return text[: receipt.at] + receipt.removed + text[end:], []
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
        step = f"${{EDITOR:-vi}} {receipt.path}   (repair it, then: holdfast disconnect {receipt.harness})"
        raise ConfigError(
            f"{receipt.path} is not JSON any more: {error}; nothing was changed", next_step=step
        ) from None
    if not receipt.before and jsonc.is_bare(text, ()):
        return None, kept
    return text, kept


def _splice(before: str, after: str) -> tuple[int, str, str]:
    """Return the one change between two texts: its position, the text removed, the text inserted."""
    at = _common_length(before, after)
    tail = _common_length(before[at:][::-1], after[at:][::-1])
    return at, before[at : len(before) - tail], after[at : len(after) - tail]


def _common_length(first: str, second: str) -> int:
    """Return the number of characters at the beginning that two texts share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _read(path: Path) -> str | None:
    """Return the text of the user's file to the last byte; None where there is none. Raises ConfigError."""
    try:
        return read_regular(path).decode("utf-8")
    except FileNotFoundError:
        return None
    except NotRead as error:
        raise ConfigError(f"cannot read {path}: it is {error}", next_step=f"ls -ld {quoted(path)}") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"cannot read {path}: it is not UTF-8 text", next_step=f"ls -ld {quoted(path)}"
        ) from None
    except OSError as error:
        raise cannot("read", path, error, ours=False) from None


def _hash(text: str | None) -> str:
    if text is None:
        return ""
    return sha256(text.encode()).hexdigest()
