"""`connect` and `disconnect`: members added to a program's own configuration file, and a receipt for them.

Nothing in the file is ever overwritten. `disconnect` restores the same bytes if the file is unchanged since;
if it was changed, our members are removed, except those that were changed, and all others stay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from .._files import NotRead, cannot, quoted, remove_drafts
from ..core.errors import CannotHandOver, ConfigError
from . import jsonc, toml_lines
from .base import Attachment
from .own_settings import Ours
from .splice import splice
from .swap import replace_if_same, settled

Write = Callable[[Path, str], None]
_TRIES = 3
_JSON_KINDS: Mapping[type, str] = {list: "list", str: "text"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The record of one `connect` to one file: the members that were added with their values, or the lines,
    the objects above them that were created (`made`), and the one splice that turns `after` back into
    `before` (both as SHA-256; `before` is "" where there was no file)."""

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
    lines: tuple[str, ...] = ()


def config_path(attachment: Attachment, environ: Mapping[str, str]) -> Path:
    """Return the file that the program reads: the one that exists, else the one that it would create."""
    home = Path(environ.get("HOME", "~")).expanduser()
    directory = Path(environ.get(attachment.variable) or home / attachment.directory)
    paths = [directory / name for name in attachment.names]
    return next((path for path in paths if path.is_file()), paths[-1])


def ours(attachment: Attachment, path: Path, root: str, pin: str = "") -> Ours:
    """Return what `connect` would write to the file at `path`."""
    members = (*(member for member, _ in attachment.members), *toml_lines.names(attachment.lines))
    return Ours(path, members, urlsplit(root).hostname or "", pin)


def written_by(receipt: Receipt) -> Ours:
    """Return what an earlier `connect` wrote."""
    members = (*(member for member, _ in receipt.members), *toml_lines.names(receipt.lines))
    return Ours(Path(receipt.path), members, urlsplit(receipt.root).hostname or "")


def connect(harness: str, attachment: Attachment, path: Path, root: str, token: str, keep: Write) -> Receipt:
    """Add the members to the file, after `keep` wrote the receipt; return the receipt. Raises CannotHandOver
    when the user has one of them already, ConfigError when the file cannot be read, understood or written."""
    remove_drafts(path)
    _refuse_linked(path, harness)
    for _ in range(_TRIES):
        text = _read(path)
        _refuse_taken(path, text or "", attachment)
        edited, made = _edited(text or "", attachment)
        at, removed, inserted = splice(text or "", edited)
        receipt = Receipt(
            harness=harness,
            path=str(path),
            root=root,
            token=token,
            members=attachment.members,
            made=made,
            before=_hash(text),
            after=_hash(edited),
            at=at,
            removed=removed,
            inserted=inserted,
            lines=attachment.lines,
        )
        keep(path, json.dumps(asdict(receipt)))
        if replace_if_same(path, text, edited):
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
        if restored == text or replace_if_same(path, text, restored):
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
        changed = _changed(text, receipt)
    except (ConfigError, jsonc.MalformedJsonc, toml_lines.MalformedToml):
        return f"{receipt.path} can no longer be read or parsed"
    if changed:
        return f"{receipt.path} was changed since it was connected: {', '.join(changed)}"
    return ""


def receipt_of(text: str) -> Receipt:
    """Return a receipt from its text. Raises ConfigError when it is damaged."""
    try:
        fields = json.loads(text)
        fields["members"] = tuple((tuple(member), value) for member, value in fields["members"])
        fields["made"] = tuple(map(tuple, fields["made"]))
        lines = fields.get("lines", ())
        if not fields["members"] and not lines:  # a receipt of an older version
            lines = fields["inserted"].splitlines()
        fields["lines"] = tuple(lines)
        return Receipt(**fields)
    except (ValueError, TypeError, KeyError):
        raise ConfigError("a receipt of `holdfast connect` is damaged", next_step="holdfast doctor") from None


def _refuse_linked(path: Path, harness: str) -> None:
    """Raise CannotHandOver for a file with more names than one: it is replaced under this name, and would no
    longer be the file that the others name."""
    with suppress(OSError):
        names = path.stat().st_nlink
        if path.is_file() and names > 1:
            raise CannotHandOver(
                f"{path} has {names} names (hard links), and would be torn from the others; nothing was "
                "changed",
                next_step=f"holdfast run {harness}   (needs no change there; or make it a symbolic link)",
            )


def _refuse_taken(path: Path, text: str, attachment: Attachment) -> None:
    """Raise CannotHandOver when the user has a setting that we would add, ConfigError when the file cannot be
    understood."""
    try:
        taken = _taken(path, text, attachment)
    except (jsonc.MalformedJsonc, toml_lines.MalformedToml) as error:
        raise ConfigError(
            f"{path} is not {_format(attachment)}: {error}; nothing was changed",
            next_step=f"${{EDITOR:-vi}} {quoted(path)}",
        ) from None
    if taken:
        raise CannotHandOver(
            f"{path} has settings of yours that the connection would need; nothing was changed",
            details=taken,
            next_step="holdfast run HARNESS   (needs no change there; or remove these and connect again)",
        )


def _taken(path: Path, text: str, attachment: Attachment) -> list[str]:
    """Return the settings of the user that are in the place of ours. Raises ConfigError for a file that holds
    no settings."""
    if attachment.lines:
        return toml_lines.taken(text, attachment.lines)
    value = jsonc.parse(text)
    if not isinstance(value, dict):
        raise ConfigError(
            f"{path} holds a {_JSON_KINDS.get(type(value), 'single value')} where its program reads an "
            "object { … } of settings; nothing was changed",
            next_step=f"${{EDITOR:-vi}} {quoted(path)}",
        )
    return [".".join(member) for member, _ in attachment.members if _is_taken(text, member)]


def _edited(text: str, attachment: Attachment) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """Return the text with ours, and the objects that were made for it."""
    if attachment.lines:
        return toml_lines.put(text, attachment.lines), ()
    made: list[tuple[str, ...]] = []
    for member, value in attachment.members:
        made += [above for above in _above(member) if not jsonc.has(text, above)]
        text = jsonc.put(text, member, value)
    return text, tuple(made)


def _changed(text: str, receipt: Receipt) -> list[str]:
    """Return the settings that no longer have the values that we gave them."""
    if receipt.lines:
        return toml_lines.changed(text, receipt.lines)
    return [".".join(member) for member, value in receipt.members if jsonc.get(text, member) != value]


def _format(edit: Attachment | Receipt) -> str:
    """Return the name of the format that the file has."""
    if edit.lines:
        return "TOML"
    return "JSON"


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
    try:
        if receipt.lines:
            return _without_lines(receipt, text)
        return _without_members(receipt, text)
    except (jsonc.MalformedJsonc, toml_lines.MalformedToml) as error:
        edit = f"${{EDITOR:-vi}} {quoted(receipt.path)}"
        raise ConfigError(
            f"{receipt.path} is not {_format(receipt)} any more: {error}; nothing was changed",
            next_step=f"{edit}   (repair it, then: holdfast disconnect {receipt.harness})",
        ) from None


def _without_lines(receipt: Receipt, text: str) -> tuple[str | None, list[str]]:
    text, kept = toml_lines.without(text, receipt.lines)
    if not receipt.before and not text.strip():
        return None, kept
    return text, kept


def _without_members(receipt: Receipt, text: str) -> tuple[str | None, list[str]]:
    kept: list[str] = []
    for member, value in receipt.members:
        if jsonc.get(text, member) == value:
            text = jsonc.drop(text, member)
        elif jsonc.has(text, member):
            kept.append(".".join(member))
    for made in sorted(receipt.made, key=len, reverse=True):
        if jsonc.is_bare(text, made):
            text = jsonc.drop(text, made)
    if not receipt.before and jsonc.is_bare(text, ()):
        return None, kept
    return text, kept


def _read(path: Path) -> str | None:
    """Return the text of the user's file to the last byte; None where there is none. Raises ConfigError."""
    try:
        return settled(path).decode("utf-8")
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
