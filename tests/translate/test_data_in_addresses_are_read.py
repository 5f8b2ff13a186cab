"""`data:` addresses of images and documents, and types by the names of files."""

from __future__ import annotations

from holdfast.translate.form import File, Image
from holdfast.translate.media import address, from_address, is_data, type_by_name
from tables import rows

ADDRESSES = [
    ("data:image/png;base64,QUJD", ("image/png", "QUJD")),
    ("DATA:Image/PNG;Base64,QUJD", ("image/png", "QUJD")),
    ("data:text/plain;charset=utf-8;base64,QUJD", ("text/plain", "QUJD")),
    ("data:;base64,QUJD", ("", "QUJD")),
    ("data:text/plain,ABC", None),
    ("data:image/png;base64", None),
    ("https://example.com/a,b.png", None),
    ("", None),
]


@rows(("url", "expected"), ADDRESSES)
def test_an_address_gives_its_type_and_data(url: str, expected: tuple[str, str] | None) -> None:
    assert from_address(url) == expected
    assert is_data(url) is url.lower().startswith("data:")


def test_an_address_is_written_from_data_or_kept() -> None:
    assert address(Image(data="QUJD", media="image/png")) == "data:image/png;base64,QUJD"
    assert address(File(url="https://example.com/a.pdf")) == "https://example.com/a.pdf"


@rows(("name", "expected"), [("a.PDF", "application/pdf"), ("a.b.txt", "text/plain"), ("a", "")])
def test_a_name_says_its_media_type(name: str, expected: str) -> None:
    assert type_by_name(name) == expected
