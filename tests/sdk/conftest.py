"""Clients of both generations of httpx over our transport."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.sdk.transport import bind
from sdk.fakes import FakeEngine


@pytest.fixture(params=["httpx2", "httpx"])
def module(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


@pytest.fixture
def client_for(module: Any) -> Iterator[Callable[..., Any]]:
    """A client of the module over our transport; closed at the end."""
    opened: list[Any] = []

    def make(engine: FakeEngine, inner: Any = None, **more: Any) -> Any:
        follow = more.pop("follow_redirects", False)
        opened.append(
            module.Client(
                transport=bind(module).SyncTransport(engine, "s1", inner, **more),
                base_url="http://holdfast.invalid/v1",
                follow_redirects=follow,
            )
        )
        return opened[-1]

    yield make
    for client in opened:
        client.close()
