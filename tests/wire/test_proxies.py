"""The proxy that the environment names, and what is said when its value cannot be read."""

from __future__ import annotations

import httpx2
import pytest

from holdfast.core.errors import ConfigError
from holdfast.wire.proxies import proxy_for

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://127.0.0.1:3128",
        "http://user:p%2Fw@proxy.example:3128/",
        "socks5h://[::1]:1080",
        "proxy.example:3128",
        "proxy.example",
        "user:pw@proxy.example",
    ],
)
def test_a_proxy_that_can_be_read_is_accepted(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "a/b,*.example")
    assert proxy_for("https://plan.example") in (proxy, f"http://{proxy}")
    if not proxy.startswith("socks"):  # httpx wants a package more for these
        httpx2.Client().close()


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:hunter2/x@proxy.example:3128",
        "http://user:x?hunter2@proxy.example:3128",
        "user:hunter2#@proxy.example",
        "http://proxy.example:hunter2",
        "http://[::1:hunter2",
    ],
)
@pytest.mark.parametrize("name", VARIABLES[:3])
def test_a_proxy_that_cannot_be_read_is_refused_without_its_password(
    name: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, proxy)
    url = {"http_proxy": "http://plan.example"}.get(name, "https://plan.example")
    with pytest.raises(ConfigError) as refused:
        proxy_for(url)
    assert name.upper() in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_proxy_that_a_request_does_not_need_is_not_read_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for("https://plan.example") == "http://proxy.example:3128"
    with pytest.raises(ConfigError, match="HTTP_PROXY"):
        proxy_for("http://plan.example")
