"""The fixtures that hold for every test must hold themselves."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from holdfast.values.secret import Secret


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "169.254.169.254"])
def test_a_connection_that_would_leave_the_machine_fails_the_test(address: str) -> None:
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match=address):
        sock.connect((address, 443))


def test_a_look_up_of_a_foreign_name_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"api\.example\.com"):
        socket.create_connection(("api.example.com", 443))


def test_an_asynchronous_connection_that_would_leave_fails_the_test() -> None:
    async def leave() -> None:
        with socket.socket() as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("192.0.2.1", 443))

    with pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
        asyncio.run(leave())


def test_a_connection_on_this_machine_is_let_through() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()


def test_the_environment_holds_no_key_and_a_home_of_its_own(clean_environment: Path) -> None:
    assert not [name for name in os.environ if name.endswith(("_API_KEY", "_BASE_URL", "_PROXY", "_proxy"))]
    assert [name for name in os.environ if name.startswith("HOLDFAST_")] == ["HOLDFAST_HOME"]
    assert Path(os.environ["HOLDFAST_HOME"]) == clean_environment
    assert Path.home() == clean_environment.parent


def test_a_failing_test_that_prints_its_locals_shows_no_key() -> None:
    assert "0123456789abcdef" not in repr({"key": Secret("sk-0123456789abcdef")})
