"""Which texts are addresses that no provider has, and which are this machine: as a resolver reads them."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.core.errors import IdentityError
from holdfast.core.identity import Endpoint
from holdfast.values.addresses import (
    address_of,
    is_loopback,
    is_this_machine,
    may_be_dialled,
    names_no_provider,
)
from tables import rows

_READ_BY_THE_SYSTEM = socket.getaddrinfo
"""Before the tests' own guard replaces it: it is asked with AI_NUMERICHOST, which asks no name server."""

NO_PROVIDERS = """
    169.254.169.254 2852039166 0xA9FEA9FE 0251.0376.0251.0376 169.254.43518 169.16689662 0xa9.0xfe.0xa9.0xfe
    025177524776 169.254.169.254. ::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::169.254.169.254 ::ffff:0:a9fe:a9fe
    64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1 fe80::1 fe80::1%25eth0 febf::1
    100.100.100.200 0x646464c8 168.63.129.16 192.0.0.192 fd00:ec2::254 fd00:0ec2:0:0::23 fd20:ce::254
    fd00:42::42 64:ff9b::6464:64c8 metadata metadata.google.internal metadata.google.internal.
    METADATA.google.internal metadata.goog instance-data instance-data.ec2.internal
    0 0x0 00000 0.0.0.0 0.0.0.7 :: ::0.0.0.0 ::ffff:0.0.0.0 64:ff9b::
    224.0.0.1 ff02::1 255.255.255.255 4294967295
    ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::
""".split()
THIS_MACHINE = """
    127.0.0.1 127.1 127.0.1 2130706433 0x7f.1 0x7f000001 0177.0.0.1 017700000001 127.0.0.1. 127.255.255.254
    ::1 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 localhost localhost. LOCALHOST a.localhost a.localhost.
""".split()
OTHERS = """
    api.example api.example. 10.0.0.1 192.168.1.7 100.64.0.1 1.1.1.1 010.0.0.1 fd00::1 fd12:3456::1
    2001:db8::1 64:ff9b::a00:1 localhost.example 127.example my-metadata.example 1.2.3.4.5 0xzz 08.1.1.1
""".split()


def url_of(host: str) -> str:
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:8080/v1"


@rows("host", NO_PROVIDERS)
def test_a_metadata_or_link_local_address_is_no_endpoint_in_any_spelling(host: str) -> None:
    assert names_no_provider(host)
    assert not is_loopback(url_of(host))
    assert not may_be_dialled(host, "192.0.2.1")
    with pytest.raises(IdentityError):
        Endpoint(url_of(host))


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine_is_recognised_in_every_spelling(host: str) -> None:
    assert is_loopback(url_of(host))
    assert is_this_machine(host)
    assert is_loopback(Endpoint(url_of(host)).origin)


@pytest.mark.parametrize("host", OTHERS)
def test_an_address_of_anybody_else_is_an_endpoint_and_not_this_machine(host: str) -> None:
    assert not is_loopback(url_of(host))
    assert not names_no_provider(host)
    assert Endpoint(url_of(host)).host


@pytest.mark.parametrize(
    "host",
    [
        "h.example%2f.evil.example",
        "169.254.169.254%2e",
        "h.example;evil",
        "h.example|evil",
        "h\\evil",
        "v1.x]",
    ],
)
def test_a_host_that_is_neither_name_nor_address_is_no_endpoint(host: str) -> None:
    with pytest.raises(IdentityError):
        Endpoint(f"http://{host}/v1")


@pytest.mark.parametrize(
    ("host", "address", "may"),
    [
        ("provider.example", "192.0.2.1", True),
        ("provider.example", "127.0.0.1", True),
        ("provider.example", "169.254.169.254", False),
        ("provider.example", "::ffff:a9fe:a9fe", False),
        ("provider.example", "fe80::1%eth0", False),
        ("localhost", "127.0.0.1", True),
        ("a.localhost", "192.0.2.1", False),
        ("metadata.google.internal", "192.0.2.1", False),
    ],
)
def test_a_key_goes_to_an_address_only_where_name_and_address_permit_it(
    host: str, address: str, may: bool
) -> None:
    assert may_be_dialled(host, address) is may


PART = st.one_of(
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda number: f"0{number:o}"),
    st.integers(0, 300).map(lambda number: f"00{number:o}"),
    st.sampled_from(["", "0x", "08", "1_0", "+1", "-1", "0X7F", "127", "254", "0xg"]),
)


@given(st.lists(PART, min_size=1, max_size=5).map(".".join))
@example("2852039166")
@example("0x")
@example("1.")
def test_a_text_is_the_address_that_the_system_makes_of_it(text: str) -> None:
    try:
        rows = _READ_BY_THE_SYSTEM(text, 1, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return  # a name, or nothing: what it resolves to is judged when it is dialled
    assert address_of(text) == ipaddress.ip_address(rows[0][4][0])


@given(st.ip_addresses())
def test_no_address_is_this_machine_and_refused_at_once(address: ipaddress.IPv4Address) -> None:
    text = str(address)
    assert not (is_this_machine(text) and names_no_provider(text))
