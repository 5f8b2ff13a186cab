"""How users write against the public names. Never run; `make types` checks that it type-checks as it stands."""

from __future__ import annotations

from typing import assert_type

from holdfast.core.identity import Connection, Endpoint, Key, Pin
from holdfast.core.secret import Secret


def a_pin_is_one_string(text: str) -> None:
    pin = Pin.parse(text)
    assert_type(str(pin), str)
    assert_type(pin.model, str)


def a_connection_derives_its_endpoint(connection: Connection, key: Key) -> None:
    assert_type(connection.endpoint, Endpoint)
    assert_type(connection.with_key(key), Connection)


def a_secret_is_asked_for_by_name(secret: Secret) -> None:
    assert_type(secret.reveal(), str)
