"""A record against a real LiteLLM proxy without a database: its lists, its answers, its models that come and
go."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from proxy import MASTER, ensure, free_port, running

from holdfast.core.model_roles import Role
from holdfast.core.provisioning_state import Record, State
from holdfast.sdk.api import NOWHERE, Holdfast
from holdfast.values.secret import Secret

pytestmark = [pytest.mark.timeout(1800), pytest.mark.drives("litellm")]
ROLES = [Role("answer", ("*sonnet*",))]
OLD, NEW, SMALL = "claude-sonnet-4-20250514", "claude-sonnet-4-5", "claude-haiku-4-5"


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    ensure()


def ask(hf: Holdfast, record: Record, model: str = "") -> httpx2.Response:
    """One turn on the model that the record's role has."""
    session = hf.session("work", f"{record.name}/{model or record.bound['answer']}")
    if model or str(session.pin) != f"{record.name}/{record.bound['answer']}":
        session.switch(f"{record.name}/{model or record.bound['answer']}")
    with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1", timeout=60) as client:
        return client.post(
            "/chat/completions",
            json={"model": session.model, "messages": [{"role": "user", "content": "Where were we?"}]},
        )


def stored(hf: Holdfast) -> Record:
    assert hf.provisioning.jobs.settle(30)
    record = hf.engine.store.provision("team")
    assert record is not None
    return record


def test_a_model_that_a_real_proxy_withdraws_is_replaced_and_the_key_kept(
    hf: Holdfast, tmp_path: Path
) -> None:
    port = free_port()
    with running([OLD, NEW, SMALL], tmp_path, port) as url:
        record = hf.provisioning.begin("team", "litellm", {"url": url, "admin": "env:PROXY_ADMIN"}, ROLES)
        record = hf.provisioning.adopt(record, Secret(MASTER), url)
        assert (record.state, record.bound) == (State.RESOLVED, {"answer": NEW})
        assert set(record.models) == {OLD, NEW, SMALL}
        assert ask(hf, record).json()["choices"][0]["message"]["content"] == f"{NEW} is here."
        assert stored(hf).state is State.VERIFIED
    with running([OLD, SMALL], tmp_path, port):
        refused = ask(hf, record)
        assert refused.headers["holdfast-fault"] == "model_unavailable"
        healed = stored(hf)
        assert (healed.bound, healed.key) == ({"answer": OLD}, record.key)
        assert ask(hf, healed).json()["choices"][0]["message"]["content"] == f"{OLD} is here."


def test_a_proxy_without_a_database_gives_no_key_and_the_intent_stays(hf: Holdfast, tmp_path: Path) -> None:
    with running([NEW], tmp_path, free_port()) as url:
        record = hf.provisioning.begin("team", "litellm", {"url": url, "admin": "env:PROXY_ADMIN"}, ROLES)
        after = hf.provisioning.provision(record, "the suite")
        assert (after.state, after.reason, after.minted) == (State.INTENT, "mint_unknown", 1)
        assert after.detail.startswith("HTTP 500")
