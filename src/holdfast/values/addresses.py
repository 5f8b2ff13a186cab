"""The addresses that no provider has, and those of this machine, in every spelling that a resolver reads.

A name is judged by what it resolves to, when it is dialled (`calls.dialling`); here only its text is."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_REFUSED = """
    0.0.0.0/8 ::/128 169.254.0.0/16 fe80::/10 224.0.0.0/4 ff00::/8 255.255.255.255/32
    100.100.100.200/32 168.63.129.16/32 192.0.0.192/32 fd00:ec2::/32 fd20:ce::254/128 fd00:42::42/128
""".split()
"""Unspecified, link-local, multicast and broadcast addresses; then the metadata services that have others:
Alibaba, Azure, Oracle, AWS, Google, Scaleway."""
_NO_PROVIDERS = tuple(map(ipaddress.ip_network, _REFUSED))
_METADATA_NAMES = frozenset(
    "metadata metadata.google.internal metadata.goog instance-data instance-data.ec2.internal".split()
)
_CARRIERS = {"::/96": 12, "::ffff:0:0:0/96": 12, "64:ff9b::/96": 12, "64:ff9b:1::/48": 12, "2002::/16": 2}
"""IPv6 networks that carry an IPv4 address, and the byte at which it begins: IPv4-compatible and translated
(RFC 4291, 2765), NAT64 (RFC 6052, 8215), 6to4 (RFC 3056)."""
_CARRIED = tuple((ipaddress.ip_network(prefix), start) for prefix, start in _CARRIERS.items())
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_OCTAL = re.compile(r"^0(?=[0-9])")


def address_of(host: str) -> _Address | None:
    """Return the address that a host's text is without asking a name server, as `inet_aton` reads it: one to
    four parts, decimal, octal or hexadecimal. None for a name."""
    host = host.lower().removesuffix(".")
    try:
        return _unmapped(ipaddress.ip_address(host))
    except ValueError:
        parts = host.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    try:
        *first, last = [int(_OCTAL.sub("0o", part), 0) for part in parts]
        packed = bytes(first) + last.to_bytes(4 - len(first), "big")
    except (ValueError, OverflowError):  # a part that is too large, or an 8 in an octal one
        return None
    return ipaddress.IPv4Address(packed)


def is_loopback(url: str) -> bool:
    """Return whether a URL, or host[:port], is on this machine. Never raises."""
    if "//" not in url:
        url = f"//{url}"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_this_machine(host)


def is_this_machine(host: str) -> bool:
    """Return whether the text of a host, an IPv6 address without brackets, is this machine."""
    address = address_of(host)
    if address is not None:
        return address.is_loopback
    return f".{host.lower().removesuffix('.')}".endswith(".localhost")


@lru_cache(maxsize=1024)
def may_be_dialled(host: str, address: str) -> bool:
    """Return whether a key may go to an address of a host. A host that is this machine by its text goes
    through no proxy and needs no TLS, so that it must be this machine."""
    if is_this_machine(host):
        return is_this_machine(address)
    return not names_no_provider(host) and not names_no_provider(address)


def _is_no_providers(address: _Address) -> bool:
    """Return whether no provider can have this address: it is link-local, unspecified, a metadata service's,
    or carries such an address or a loopback one within IPv6."""
    address = _unmapped(address)
    if address.is_loopback:
        return False
    carried = [
        ipaddress.IPv4Address(address.packed[start : start + 4])
        for network, start in _CARRIED
        if address in network
    ]
    refused = any(each in network for each in (address, *carried) for network in _NO_PROVIDERS)
    return refused or any(each.is_loopback for each in carried)


def names_no_provider(host: str) -> bool:
    """Return whether the text of a host names no provider: a metadata service, or an address of that kind."""
    address = address_of(host)
    if address is not None:
        return _is_no_providers(address)
    return host.lower().removesuffix(".") in _METADATA_NAMES


def _unmapped(address: _Address) -> _Address:
    """Return the IPv4 address of one that is mapped into IPv6: a connection to the latter goes to it."""
    return getattr(address, "ipv4_mapped", None) or address
