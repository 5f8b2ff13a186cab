"""Keys of a real LiteLLM proxy with its database: made once, used, spent, blocked, expired, withdrawn,
rotated, adopted and given back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import database as databases
import httpx2
import pytest
from proxy import MASTER, ensure, free_port, running

from holdfast.core.errors import NotReady
from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Record, State
from holdfast.sdk.api import NOWHERE, Holdfast
from holdfast.values.secret import Secret

pytestmark = [pytest.mark.timeout(1800), pytest.mark.drives("litellm", "litellm-node")]
ROLES = [Role("answer", ("*sonnet*",))]
OLD, NEW, SMALL = "claude-sonnet-4-20250514", "claude-sonnet-4-5", "claude-haiku-4-5"
GENERATE, DELETE, UPDATE = "/key/generate", "/key/delete", "/key/update"


class Proxy:
    """The proxy, and what its admin does."""

    def __init__(self, url: str) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {MASTER}"}
        self._client = httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=30)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def keys(self) -> set[str]:
        """Return the digests of all keys."""
        return set(self._client.get("/key/list", params={"size": 100}).json()["keys"])

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """A proxy for all tests of this module, with a database of its own."""
    ensure()
    databases.ensure()
    # A socket's path must be short: not in pytest's own directory.
    with tempfile.TemporaryDirectory(prefix="hf-llm-") as folder:
        directory = Path(folder)
        with (
            databases.running(directory) as database,
            running([OLD, NEW, SMALL], directory, free_port(), database) as url,
        ):
            admin = Proxy(url)
            yield admin
            admin.close()


def begin(hf: Holdfast, proxy: Proxy, **limits: Any) -> Record:
    settings = {"url": proxy.url, "admin": "env:PROXY_ADMIN", **limits}
    return hf.provisioning.begin("team", "litellm", settings, ROLES)


def obtained(hf: Holdfast, proxy: Proxy, **limits: Any) -> tuple[Record, str]:
    """Obtain a key. Return the record, and the digest by which the proxy knows the key."""
    before = proxy.keys()
    record = hf.provisioning.provision(begin(hf, proxy, **limits), "the suite")
    assert (record.state, record.bound) == (State.RESOLVED, {"answer": NEW})
    (digest,) = proxy.keys() - before
    return record, digest


def ask(hf: Holdfast, model: str = NEW) -> str:
    """Return the fault of one turn, "" if it was answered well."""
    session = hf.session(f"work-{model}", f"team/{model}")
    body = {"model": session.model, "messages": [{"role": "user", "content": "Where were we?"}]}
    with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1", timeout=60) as client:
        answer = client.post("/chat/completions", json=body)
    assert hf.provisioning.jobs.settle(30)
    return str(answer.headers.get("holdfast-fault", ""))


def stored(hf: Holdfast) -> Record:
    record = hf.engine.store.provision("team")
    assert record is not None
    return record


def eventually(hf: Holdfast, fault: str, model: str = NEW, seconds: float = 90) -> None:
    """Ask until the fault is this one: the proxy counts what was spent a little later."""
    deadline = time.monotonic() + seconds
    while (seen := ask(hf, model)) != fault:
        assert time.monotonic() < deadline, seen
        time.sleep(1)


def retired(hf: Holdfast, proxy: Proxy, *digests: str) -> None:
    """Retire twice; the keys are gone at the proxy, and both times the same is said."""
    assert proxy.keys() >= set(digests)
    for _ in range(2):
        record, given_back = hf.provisioning.retire(stored(hf))
        assert (record.reason, given_back) == ("given_back", True)
    assert not proxy.keys() & set(digests)


def test_a_key_is_made_once_used_and_given_back(hf: Holdfast, proxy: Proxy) -> None:
    record, digest = obtained(hf, proxy, models=[NEW, SMALL])
    assert set(record.models) == {NEW, SMALL}
    assert ask(hf) == ""
    assert stored(hf).state is State.VERIFIED
    assert hf.provisioning.verify(stored(hf)).state is State.VERIFIED
    retired(hf, proxy, digest)


@pytest.mark.parametrize("step", ["intent", "answered", "sealed", "kept"])
def test_a_request_that_is_repeated_gets_the_same_key(hf: Holdfast, proxy: Proxy, step: str) -> None:
    before = proxy.keys()

    class Died(Exception):
        pass

    def die(reached: str, _: Record) -> None:
        if reached == step and not died:
            died.append(step)
            raise Died

    died: list[str] = []
    hf.provisioning.host.on_step(die)
    with pytest.raises(Died):
        hf.provisioning.provision(begin(hf, proxy), "the suite")
    assert hf.provisioning.heal(stored(hf)).state is State.RESOLVED
    (digest,) = proxy.keys() - before
    assert ask(hf) == ""
    retired(hf, proxy, digest)


def test_a_budget_that_was_raised_is_used_again_after_a_verified_call(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy, budget=0.000001)
    eventually(hf, "quota_exhausted")
    assert (stored(hf).state, stored(hf).reason) == (State.DEGRADED, "budget")
    proxy.post(UPDATE, key=digest, max_budget=100)
    assert ask(hf) == "quota_exhausted", "that is remembered, and nothing is sent"
    assert hf.provisioning.verify(stored(hf)).state is State.VERIFIED
    assert ask(hf) == ""
    retired(hf, proxy, digest)


def test_a_blocked_key_works_again_when_it_is_unblocked(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy)
    assert ask(hf) == ""
    proxy.post("/key/block", key=digest)
    eventually(hf, "auth_rejected")
    assert stored(hf).reason == "key_dead"
    proxy.post("/key/unblock", key=digest)
    assert hf.provisioning.verify(stored(hf)).state is State.VERIFIED
    assert ask(hf) == ""
    retired(hf, proxy, digest)


def test_an_expired_key_is_replaced_with_consent(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy, expires_in="5s")
    assert ask(hf) == ""
    time.sleep(6)
    eventually(hf, "auth_expired")
    assert stored(hf).reason == "key_dead"
    assert hf.provisioning.heal(stored(hf)).reason == "key_dead", "without consent no key is obtained"
    before = proxy.keys()
    renewed = hf.provisioning.provision(stored(hf), "the suite")
    assert (renewed.state, renewed.epoch) == (State.RESOLVED, 2)
    (second,) = proxy.keys() - before - {digest}
    retired(hf, proxy, second)


def test_a_model_that_is_taken_from_a_key_and_given_back_returns(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy, models=[NEW, SMALL])
    assert ask(hf) == ""
    proxy.post(UPDATE, key=digest, models=[SMALL])
    eventually(hf, "not_entitled")
    assert (stored(hf).reason, stored(hf).bound) == ("model_gone", {})
    proxy.post(UPDATE, key=digest, models=[NEW, SMALL])
    healed = hf.provisioning.heal(stored(hf))
    assert (healed.state, healed.bound, healed.gone) == (State.RESOLVED, {"answer": NEW}, {})
    hf.provisioning.verify(healed)
    assert ask(hf) == ""
    retired(hf, proxy, digest)


def test_a_key_that_an_admin_rotated_is_adopted_and_given_back(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy)
    before = proxy.keys()
    made = proxy.post(GENERATE)["key"]
    (rotated,) = proxy.keys() - before
    proxy.post(DELETE, keys=[digest])
    eventually(hf, "auth_rejected")
    record = hf.provisioning.adopt(stored(hf), Secret(made), proxy.url)
    assert record.state is State.RESOLVED
    assert ask(hf) == ""
    retired(hf, proxy, rotated)


def test_a_key_that_was_deleted_at_the_proxy_is_not_said_to_be_given_back(hf: Holdfast, proxy: Proxy) -> None:
    _, digest = obtained(hf, proxy)
    proxy.post(DELETE, keys=[digest])
    record, given_back = hf.provisioning.retire(stored(hf))
    assert (record.reason, given_back) == ("not_known_there", False)


def test_a_retirement_that_the_proxy_refuses_changes_nothing(
    hf: Holdfast, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = obtained(hf, proxy)
    monkeypatch.setenv("PROXY_ADMIN", "sk-not-the-admin-at-all")
    with pytest.raises(NotReady, match="was not given back"):
        hf.provisioning.retire(stored(hf))
    assert ask(hf) == ""
    monkeypatch.setenv("PROXY_ADMIN", MASTER)
    retired(hf, proxy, digest)
