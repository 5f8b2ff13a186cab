"""The model that a form names is found as parsers of forms find it, or not at all."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import HTTP

from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire.form_body import inspect_form
from tables import rows

FILE = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
MODEL = b'Content-Disposition: form-data; name="model"\r\n\r\n'


def form(*parts: bytes, boundary: bytes = b"--b", end: bytes = b"--\r\n") -> bytes:
    return b"".join(boundary + b"\r\n" + part + b"\r\n" for part in parts) + boundary + end


@rows(
    ("body", "model"),
    [
        (form(MODEL + b"hears-1", FILE + b"RIFF"), "hears-1"),
        (form(FILE + b"RIFF\r\n\r\n--", MODEL + b"mine/hears-1"), "mine/hears-1"),
        (form(MODEL.replace(b'"model"', b"model") + b"m"), "m"),
        (form(MODEL.lower().replace(b"\r\n\r\n", b"\r\ncontent-type: text/plain\r\n\r\n") + b"m"), "m"),
        (form(MODEL + b"m", end=b"--"), "m"),
        (form(FILE + MODEL + b"in a file"), None),
        (form(FILE + b"x\r\n" + MODEL + b"in a file\r\n--B"), None),
        (form(MODEL + b"one", MODEL + b"two"), None),
        (form(MODEL + b""), None),
        (form(MODEL + b'"m"'), None),
        (form(MODEL + b"m" * 500), None),
        (form(FILE.replace(b"file", b"model", 1) + b"RIFF"), None),
        (form(MODEL + b"m")[:-8], None),
        (form(MODEL + b"m").replace(b"\r\n", b"\n"), None),
        (form(*[FILE] * 101, MODEL + b"m"), None),
        (b"--", None),
        (b"", None),
        (b'{"model": "m"}', None),
    ],
)
def test_a_model_is_found_where_exactly_one_part_names_it(body: bytes, model: str | None) -> None:
    info = inspect_form(body)
    assert info.model == model
    if model is not None and info.span is not None:
        assert body[slice(*info.span)] == model.encode()


PARTS = st.lists(
    st.one_of(
        st.sampled_from([MODEL + b"m1", MODEL + b"m2", FILE + b"--b", FILE + MODEL + b"m3"]),
        st.binary(max_size=20).map(lambda data: FILE + data),
    ),
    max_size=4,
)


@given(parts=PARTS)
def test_what_is_found_is_what_another_parser_finds(parts: list[bytes]) -> None:
    body = form(*parts)
    info = inspect_form(body)
    if info.model is None:
        return
    whole = message_from_bytes(b"content-type: multipart/form-data; boundary=b\r\n\r\n" + body, policy=HTTP)
    theirs = [
        part.get_payload(decode=True)
        for part in whole.iter_parts()
        if part.get_param("name", header="content-disposition") == "model" and part.get_filename() is None
    ]
    assert theirs == [info.model.encode()]
