"""Reads whom a request addresses, from Host, Origin and absolute targets: by the grammar of RFC 3986 3.2.2.

Whatever the grammar does not know is no host at all. So nothing is compared that another program could read
in another way: no userinfo, no backslash, nothing behind the bracket of an IPv6 address.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

_AUTHORITY = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9\-._~%!$&'()*+,;=]+))(?::[0-9]{0,5})?")
_ORIGIN = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://(.+)")
_ABSOLUTE = re.compile(rb"https?://([^/?]+)(/[^?]*)?(\?.*)?", re.IGNORECASE)


def host_of(authority: bytes) -> str | None:
    """Return the host of a Host header's value, in lower case and without brackets; None where it is none."""
    read = _AUTHORITY.fullmatch(authority)
    if read is None:
        return None
    literal, name = read.groups()
    if literal is None:
        return str(name.decode("ascii").lower())
    text = literal.decode("ascii").lower()
    try:
        IPv6Address(text)
    except ValueError:
        return None
    return str(text)


def host_of_origin(origin: bytes) -> str | None:
    """Return the host of an Origin header's value; None for `null`, a list, and what is no origin."""
    read = _ORIGIN.fullmatch(origin)
    if read is None:
        return None
    return host_of(read[1])


def is_address(host: str) -> bool:
    """Return whether a host is a literal IP address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def split_absolute(target: bytes) -> tuple[bytes, bytes] | None:
    """Return the authority and the rest, which begins with a slash, of a target in absolute form (RFC 9112
    3.2.2); None for any other."""
    read = _ABSOLUTE.fullmatch(target)
    if read is None or host_of(read[1]) is None:
        return None
    return read[1], (read[2] or b"/") + (read[3] or b"")
