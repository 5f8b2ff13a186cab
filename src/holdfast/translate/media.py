"""Images and documents as `data:` addresses, and types by the names of files."""

from __future__ import annotations

import base64
from binascii import Error as NotBase64

from .fields import Fields
from .form import File, Image

BASE64 = ";base64"
_DETAILS = ("", "auto", "low", "high")

_TYPES = {
    "csv": "text/csv",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "webp": "image/webp",
}

_READABLE = ("text/", "application/json", "application/xml", "application/yaml")


def is_readable(media: str) -> bool:
    """Return whether documents of a media type are texts."""
    return media.startswith(_READABLE)


def text_of(file: File) -> str | None:
    """Return the text of a readable document; None if its data are no base64 of a UTF-8 text."""
    try:
        return base64.b64decode(file.data, validate=True).decode()
    except (NotBase64, ValueError):
        return None


def from_address(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 text of a `data:` address; None for any other address, or where
    the data are not base64."""
    head, comma, data = url.partition(",")
    if not comma or head[:5].lower() != "data:":
        return None
    kind = head[5:]
    if not kind.lower().endswith(BASE64):
        return None
    return kind[: -len(BASE64)].partition(";")[0].strip().lower(), data


def is_data(url: str) -> bool:
    """Return whether an address holds its data itself."""
    return url[:5].lower() == "data:"


def address(part: Image | File) -> str:
    """Return the address of an image or a document, with its data if it has them."""
    if part.url:
        return part.url
    return f"data:{part.media}{BASE64},{part.data}"


def type_by_name(name: str) -> str:
    """Return the media type that the end of a file's name says; "" if it is not known."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "")


def detail_read(image: Fields) -> str:
    """Return how closely to look at an image: low, high, auto or ""."""
    detail = image.text("detail")
    if detail in _DETAILS:
        return detail
    image.less("detail", "detail")
    return {"original": "high"}.get(detail, "")
