"""Every recorded answer of LiteLLM 1.106.2 and 1.81.0, and what each makes of a record: the two versions
differ in their statuses only.

`litellm.jsonl` was recorded from both proxies with scripted upstreams; bodies and the headers that decide are
unchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.classify import classify
from holdfast.core.faults import Phase, Reply
from holdfast.core.identity import ProviderName
from holdfast.core.provisioning_state import Capability, Record, State, failed
from holdfast.providers import profiles
from holdfast.provisioning.base import Minted, Question, Tools, endpoint, minted
from holdfast.provisioning.deletions import says_not_known

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in Path(__file__).with_name("litellm.jsonl").read_text("utf-8").splitlines()
]
PROFILE = profiles.load("litellm")
GOOD = Record(
    ProviderName("team"),
    "litellm",
    Capability.REPLAYABLE,
    State.VERIFIED,
    url="https://p.example",
    key="store:k",
    models=("m",),
    verified_at=1.0,
)
CALLS = ("/chat/completions", "/messages", "/responses")

# What the case is called -> what it makes of a record that worked. The first that fits counts; each row must
# fit one.
CALL_CASES = (
    (r"over_budget|team_blocked", "budget"),  # the recorded team was over its budget before it was blocked
    (r"expired|deleted|\.blocked", "key_dead"),
    (r"wrongkey(?!\.nodb)", "key_dead|key_suspect"),  # without a database the proxy knows no key
    (r"key_without_sk|notsk|wrongkey\.nodb", "key_suspect"),
    (r"unknown|not_allowed|[ua]404$", "model_gone|"),  # while a deployment cools down, 404 comes as 429
    (r"noauth|emptybearer", ""),
    (r"upstream|cooldown|stream|rpm1|tpm10|par1|nomessages|messages\.(ok|xapikey)|responses\.ok", ""),
)
LIST_CASES = (
    (r"no_default_models", "empty|ok"),  # 1.81 lists names that this key may not use
    (
        r"wrongkey|noauth|expired|blocked|notsk|key_without_sk",
        "refused|unreachable",
    ),  # without a database: HTTP 500
    (r"over_budget", "ok|unreachable"),
    (r"v2_model_info", "unreachable"),
    (r"routes_no_model_info\.model_info|amazee_like\.v1_model_info", "ok|forbidden"),
    (r"", "ok"),
)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200), Minted.YES),
        (Reply(201), Minted.YES),
        (Reply(400), Minted.NO),
        (Reply(429), Minted.NO),
        (Reply(408), Minted.UNKNOWN),
        (Reply(409), Minted.UNKNOWN),
        (Reply(302), Minted.UNKNOWN),
        (Reply(500), Minted.UNKNOWN),
        (Reply(None, phase=Phase.CONNECT), Minted.NO),
        (Reply(None, phase=Phase.HEADERS), Minted.UNKNOWN),
        (Reply(None, phase=Phase.BODY), Minted.UNKNOWN),
    ],
)
def test_only_a_refusal_or_a_question_never_sent_says_that_no_key_was_made(
    reply: Reply, outcome: Minted
) -> None:
    assert minted(reply) is outcome


MINT_CASES = (
    (
        r"by_virtual_key|dup_alias|wrongkey|client_chosen_key\.replay$",
        "no",
    ),  # the replay had an alias, which is taken by then
    (r"bad_duration|nodb", "unknown"),
    (r"^key_generate$", "yes|unknown"),
    (r"", "yes"),
)


def reply_of(row: dict[str, Any]) -> Reply:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    headers = tuple((name.lower(), value) for name, value in row["headers"].items())
    return Reply(row["status"], headers, body.encode(), Phase.HEADERS if row["status"] else Phase.CONNECT)


def outcome_of(row: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """What an answer makes of a record, and the table that says what it should; None for routes that we never
    ask."""
    path, reply = row["request"].partition(" ")[2], reply_of(row)
    if path.endswith(CALLS):
        if row["status"] == 200:
            return None  # a good answer, or a stream that is judged by its events
        return failed(GOOD, "m", classify(reply, PROFILE, now=0.0), 2.0).reason, CALL_CASES
    if path.endswith(("/models", "/model/info")):
        tools = Tools(lambda question: reply, str, lambda reply: classify(reply, PROFILE, now=0.0))
        return tools.listing(Question(endpoint("https://p.example"), "GET", "/models")).kind, LIST_CASES
    outcome = str(minted(reply))
    return (outcome, MINT_CASES) if path == "/key/generate" else None


@pytest.mark.parametrize("version", ["1.106.2", "1.81.0"])
def test_every_recorded_answer_makes_of_a_record_what_it_should(version: str) -> None:
    wrong, seen = [], 0
    for row in ROWS:
        if row["version"] != version or (result := outcome_of(row)) is None:
            continue
        seen += 1
        outcome, table = result
        expected = next(expected for pattern, expected in table if re.search(pattern, row["case"]))
        if outcome not in expected.split("|"):
            wrong.append((row["case"], row["mode"], row["status"], outcome, expected))
    assert not wrong
    assert seen > {"1.106.2": 130, "1.81.0": 60}[version]


def test_only_our_own_credential_is_ever_blamed_for_a_gateways_refusal() -> None:
    """A call id says that the gateway took our key: whatever follows is its own supplier's fault."""
    accepted = [
        row
        for row in ROWS
        if "x-litellm-call-id" in row["headers"] and row["status"] != 200 and row["request"].endswith(CALLS)
    ]
    blamed = [
        row["case"]
        for row in accepted
        if failed(GOOD, "m", classify(reply_of(row), PROFILE, now=0.0), 2.0).reason.startswith("key")
    ]
    assert len(accepted) > 60
    assert not blamed


def test_the_same_fault_means_the_same_in_both_versions_whatever_its_status() -> None:
    by_case: dict[str, dict[str, tuple[int, str]]] = {}
    for row in ROWS:
        if (
            row["mode"].startswith(("db", "db-1.81.0"))
            and row["mode"] != "db-cooldown"
            and row["status"] != 200
            and row["request"].endswith(CALLS)
        ):
            reason = failed(GOOD, "m", classify(reply_of(row), PROFILE, now=0.0), 2.0).reason
            by_case.setdefault(row["case"], {})[row["version"]] = (row["status"], reason)
    both = {case: list(by_version.values()) for case, by_version in by_case.items() if len(by_version) == 2}
    assert not {case: results for case, results in both.items() if results[0][1] != results[1][1]}
    assert [case for case, results in both.items() if results[0][0] != results[1][0]], (
        "or the status would have been enough"
    )


def test_both_versions_say_in_their_own_words_that_they_do_not_know_a_key() -> None:
    """A route that they do not have is answered as by any other server."""
    results = {
        (row["case"], says_not_known(Reply(404, body=json.dumps(row["body"]).encode())))
        for row in ROWS
        if row["case"] in ("key_delete.again", "auth_me", "notfound")
    }
    assert results == {("key_delete.again", True), ("auth_me", False), ("notfound", False)}
