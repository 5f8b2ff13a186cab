"""The address on which the gateway listens."""

from __future__ import annotations

import pytest

from holdfast.config.listen import Listen
from holdfast.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:4141", "http://127.0.0.1:4141"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[::1]:0", "http://[::1]:0"),
        ("::1:80", "http://[::1]:80"),
        ("gateway.example:65535", "http://gateway.example:65535"),
    ],
)
def test_an_address_to_listen_on_is_shown_as_clients_of_this_machine_reach_it(text: str, url: str) -> None:
    assert Listen.parse(text).url == url


@pytest.mark.parametrize(
    "text", ["", "4141", ":4141", " :4141", "h:", "h:http", "h:65536", "h:-1", "h:٣", "h:1.5"]
)
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address to listen on"):
        Listen.parse(text)


@pytest.mark.parametrize(
    ("text", "others"),
    [("127.0.0.1:1", False), ("[::1]:1", False), ("0.0.0.0:1", True), ("[::]:1", True), ("10.0.0.1:1", True)],
)
def test_an_address_that_others_reach_must_be_meant(text: str, others: bool) -> None:
    Listen.parse(text).check(public=True)
    if others:
        with pytest.raises(ConfigError, match="can be reached from other machines"):
            Listen.parse(text).check(public=False)
    else:
        Listen.parse(text).check(public=False)
