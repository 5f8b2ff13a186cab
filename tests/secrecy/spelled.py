"""The spellings in which a provider may give a key back."""

from __future__ import annotations

import json
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

KEY = "sk-canary-AAAA-1111-aaaa/x+y=CANARYCANARY0123456789"

SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper case": lambda key: key.upper().encode(),
    "lower case": lambda key: key.lower().encode(),
    "reversed": lambda key: key[::-1].encode(),
    "base64": lambda key: b64encode(key.encode()),
    "base64 behind one byte": lambda key: b64encode(b":" + key.encode()),
    "base64 behind two bytes": lambda key: b64encode(b"u:" + key.encode() + b"!"),
    "base64 behind three bytes": lambda key: b64encode(b"me:" + key.encode() + b"!!"),
    "base64 for URLs": lambda key: urlsafe_b64encode(b"??>" + key.encode()),
    "base64 in JSON": lambda key: b64encode(key.encode()).replace(b"/", b"\\/"),
    "base64 in a URL": lambda key: quote(b64encode(key.encode()).decode(), safe="").encode(),
    "base64 twice": lambda key: b64encode(b"x" + b64encode(b"me:" + key.encode())),
    "base32": lambda key: b32encode(b"abc" + key.encode()),
    "hex": lambda key: key.encode().hex().encode(),
    "upper hex": lambda key: key.encode().hex().upper().encode(),
    "URL": lambda key: quote(key, safe="").encode(),
    "URL twice": lambda key: quote(quote(key, safe=""), safe="").encode(),
    "URL throughout": lambda key: "".join(f"%{ord(c):02X}" for c in key).encode(),
    "JSON slashes": lambda key: key.replace("/", "\\/").encode(),
    "JSON throughout": lambda key: "".join(f"\\u{ord(c):04x}" for c in key).encode(),
    "JSON in parts": lambda key: "".join(
        c if i % 3 else f"\\u{ord(c):04X}" for i, c in enumerate(key)
    ).encode(),
    "JSON twice": lambda key: json.dumps("".join(f"\\u{ord(c):04x}" for c in key))[1:-1].encode(),
    "HTML": lambda key: key.replace("+", "&#43;").replace("/", "&#x2F;").encode(),
    "UTF-16": lambda key: key.encode("utf-16-le"),
    "UTF-16, the other end first": lambda key: key.encode("utf-16-be"),
    "a space without width": lambda key: f"{key[:10]}\u200b{key[10:]}".encode(),
    "many of them": lambda key: "\u200d".join(key).encode(),
    "one in JSON": lambda key: f"{key[:10]}\\u200b{key[10:]}".encode(),
    "a soft hyphen": lambda key: f"{key[:7]}\xad{key[7:]}".encode(),
}


def left_of(key: str, spelling: bytes) -> list[bytes]:
    """What must not be left of a spelling: the ends of it may hold digits of what is beside the key."""
    return [spelling[at : at + 12] for at in range(6, len(spelling) - 18, 3)]
