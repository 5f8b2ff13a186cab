"""Tunnels through HTTP proxies (CONNECT, RFC 9110 9.3.6), without the sockets: what is said to the proxy, and
what its answer means. Through a tunnel the proxy is given a host and a port, and no key."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LONGEST_HEAD = 16 * 1024
"""Bytes of a proxy's answer that are read at most."""
_PORTS = {"http": 80, "https": 443}


class Tunnel(NamedTuple):
    """A proxy. `secure` asks for TLS to the proxy itself; `authorization` is the value of a header, b"" for
    none."""

    host: str
    port: int
    secure: bool
    authorization: bytes

    def request(self, host: str, port: int) -> bytes:
        """Return the request for a tunnel to a host."""
        target = f"{host}:{port}"
        if ":" in host:
            target = f"[{host}]:{port}"
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode()
        if self.authorization:
            head += b"Proxy-Authorization: " + self.authorization + b"\r\n"
        return head + b"\r\n"

    def wants_more(self, head: bytes) -> bool:
        """Return whether the head of the proxy's answer is not complete yet."""
        return not head.endswith(b"\r\n\r\n") and len(head) < LONGEST_HEAD

    def refusal(self, head: bytes) -> str:
        """Return why the proxy gives no tunnel, as its answer says it; "" where it gives one."""
        status = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if len(status) < 2 or not head.endswith(b"\r\n\r\n"):
            return "the proxy closed the connection before it answered"
        if status[1].startswith(b"2"):
            return ""
        return f"the proxy refused: {b' '.join(status[1:]).decode('latin-1')}"


def tunnel_of(proxy: str) -> Tunnel | None:
    """Return the tunnel through a proxy, given by its URL; None for other kinds than http:// and https://."""
    parts = urlsplit(proxy)
    if parts.scheme not in _PORTS:
        return None
    authorization = b""
    if parts.username:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(user.encode())
    port = parts.port or _PORTS[parts.scheme]
    return Tunnel(parts.hostname or "", port, parts.scheme == "https", authorization)
