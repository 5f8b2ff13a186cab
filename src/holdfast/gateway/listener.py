"""Proves to a client of the same home that a listener is the home's gateway, before a token is shown to it.

The client sends a random challenge to `PATH`. The gateway answers with a keyed hash of the challenge and of
the address to which the client is connected, so that another program cannot pass the challenge on. The key
comes from the home's own secret, which other users cannot read. Needs the standard library only.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import time
from enum import Enum
from hashlib import sha256
from urllib.parse import urlsplit

PATH, READY = "/health/live", "/health/ready"
CHALLENGE, PROOF = "holdfast-challenge", "holdfast-proof"
_PURPOSE = b"holdfast: proof of the listener, 1"
_CHALLENGE_BYTES = 32
_LONGEST_CHALLENGE = 128
_LONGEST_HEAD = 8192
_PATIENCE = 3.0
"""Seconds for the connection, and for the whole answer."""

Address = tuple[str, int]


class Listener(Enum):
    """The listener at an address: the gateway of this home, nobody, or a program that does not prove it."""

    OURS = "ours"
    NOBODY = "nobody"
    STRANGER = "stranger"


def proof_key(pepper: bytes) -> bytes:
    """Return the key of proofs, from a home's secret."""
    return hmac.digest(pepper, _PURPOSE, sha256)


def proof(key: bytes, challenge: str, address: Address) -> str:
    """Return the proof for a challenge that arrived at an address of this machine; "" for what is none."""
    if not key or not 0 < len(challenge) <= _LONGEST_CHALLENGE:
        return ""
    host, port = address
    text = f"{host.removeprefix('::ffff:')}\n{port}\n{challenge}"
    return hmac.new(key, text.encode("latin-1"), sha256).hexdigest()


def who_listens(url: str, key: bytes) -> Listener:
    """Return who listens at the root URL of a gateway, which has to know `key`. Shows it no secret."""
    challenge = secrets.token_hex(_CHALLENGE_BYTES)
    try:
        sock = _connected(url)
    except OSError:
        return Listener.NOBODY
    with sock:
        try:
            host, port = sock.getpeername()[:2]
            head = _answer_of(sock, url, PATH, f"{CHALLENGE}: {challenge}")
        except OSError:
            return Listener.STRANGER
    expected = proof(key, challenge, (host, port)).encode("ascii")
    if expected and hmac.compare_digest(_proof_in(head), expected):
        return Listener.OURS
    return Listener.STRANGER


def readiness_of(url: str) -> int:
    """Return the status with which the gateway at a root URL says whether it can serve; 0 without one."""
    try:
        with _connected(url) as sock:
            return int(_answer_of(sock, url, READY).split(b" ", 2)[1])
    except (OSError, ValueError, IndexError):
        return 0


def _connected(url: str) -> socket.socket:
    """Connect to the host of a URL. Raises OSError."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_PATIENCE)


def _answer_of(sock: socket.socket, url: str, path: str, *headers: str) -> bytes:
    """Ask for a path, and return the answer's head, as far as it comes. Raises OSError, also for a head that
    is not complete in time."""
    until = time.monotonic() + _PATIENCE
    lines = (f"GET {path} HTTP/1.1", f"host: {urlsplit(url).netloc}", *headers, "connection: close")
    sock.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
        sock.settimeout(max(0.001, until - time.monotonic()))
        piece = sock.recv(_LONGEST_HEAD)
        if not piece:
            break
        head += piece
    return head


def _proof_in(head: bytes) -> bytes:
    """Return the proof in an answer's head; b"" where it holds none."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == PROOF.encode():
            return value.strip()
    return b""
