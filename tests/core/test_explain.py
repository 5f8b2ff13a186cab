"""The four lines, read as the person reads them who gets them: what happened, on which connection, what was
tried, what to run."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from children import run
from holdfast.core import explain as module
from holdfast.core.changes import Evidence
from holdfast.core.explain import Explanation, explain, since
from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.steps import Attempt
from holdfast.engine.journal import utc
from holdfast.values.fault_texts import WHAT
from tables import rows

C = FaultClass
NOW = datetime(2026, 3, 2, 14, 31, tzinfo=UTC).timestamp()
URL = "https://token-plan-cn.xiaomimimo.com/v1"
NAME = ProviderName("mimo-plan")
KEYS = (Key(NAME, "a", "env:MIMO_KEY"), Key(NAME, "b", "store:b"))
PROVIDER = Provider(NAME, (Endpoint(URL),), KEYS)
CONNECTION = Connection(PROVIDER, Dialect.OPENAI_CHAT, KEYS[0], "mimo-v2.5-pro")
SPARE = CONNECTION.with_key(KEYS[1])
ROUTER = ProviderName("router")
FALLBACK_KEY = Key(ROUTER, "main", "env:ROUTER_KEY")
FALLBACK = Connection(
    Provider(ROUTER, (Endpoint("https://router.example/v1"),), (FALLBACK_KEY,)),
    Dialect.OPENAI_CHAT,
    FALLBACK_KEY,
    "xiaomi/mimo",
)
LOCAL = Connection(
    Provider(ProviderName("den"), (Endpoint("http://127.0.0.1:8080/v1", auth=Auth.NONE),)),
    Dialect.OPENAI_CHAT,
    None,
    "llama",
)

WORKED = Evidence("f1", URL, first_ok=NOW - 86_400, last_ok=NOW - 250)
NEVER = Evidence("f1", URL)

MIMO, HOST, PIN = "mimo-plan", "token-plan-cn.xiaomimimo.com", "mimo-plan/mimo-v2.5-pro"
AGAIN = f"holdfast key reset {MIMO} a"
CHOOSE = "holdfast session pin issue-42 PROVIDER/MODEL"
MODELS = f"holdfast models --provider {MIMO}"
SHOW = f"holdfast provider show {MIMO}"


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def explained(
    fault: Fault, *attempts: Attempt, connection: Connection = CONNECTION, evidence: Evidence | None = NEVER
) -> Explanation:
    attempts = attempts or (Attempt(1, connection, NOW - 1, NOW, fault),)
    source = "provider.mimo-plan.url, holdfast.toml:3"
    return explain(
        fault,
        connection,
        attempts,
        evidence,
        NOW,
        key_shown="…3f9A",
        source=source,
        session="issue-42",
        clock=clock,
    )


def attempts(*rows: tuple[Connection, float, float, Fault | None, str, bool]) -> tuple[Attempt, ...]:
    """Attempts out of (connection, seconds from the start, seconds it took, fault, then, probe)."""
    return tuple(
        Attempt(n, c, NOW + at, NOW + at + took, fault, probe, then)
        for n, (c, at, took, fault, then, probe) in enumerate(rows, start=1)
    )


REFUSED = Fault(C.AUTH_REJECTED, status=401, excerpt="Invalid API Key", request_id="req_7")

OTHER_DOOR = (
    f"Correct the address, or replace the value of env:MIMO_KEY with a key of {HOST}. The address is shown by"
)

# (case, fault, evidence, what happened, what to do next)
TABLE = [
    (
        "the key cannot be read",
        Fault(C.AUTH_REJECTED, phase=Phase.UNSENT, sent=False),
        None,
        "No key was sent: cannot read env:MIMO_KEY.",
        f"Provide the value, or another key: holdfast key add {MIMO} --from env:NAME",
    ),
    (
        "the server saw no key",
        Fault(C.AUTH_REJECTED, status=401, sent=False),
        NEVER,
        f"{HOST} says that no key came with the request.",
        f"Check how the endpoint sends the key: {SHOW}",
    ),
    (
        "the key never worked here",
        REFUSED,
        NEVER,
        f"{HOST} does not accept this key. It has never worked there.",
        f"Check that env:MIMO_KEY holds a live key of this host, then: {AGAIN}",
    ),
    (
        "the key begins like those of a plan that has another host",
        replace(REFUSED, hint="plan.example"),
        NEVER,
        (
            f"{HOST} does not accept this key. It has never worked there; keys like this one belong to "
            "plan.example."
        ),
        f"{OTHER_DOOR}: {SHOW}",
    ),
    (
        "the answer says success and nothing else",
        Fault(C.TRANSIENT, status=200, cause="empty"),
        WORKED,
        f"{HOST} sent an empty answer (HTTP 200).",
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "the answer breaks off",
        Fault(C.TRANSIENT, status=200, cause="cut"),
        WORKED,
        f"{HOST} sent an answer that breaks off (HTTP 200).",
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "the answer is another API's",
        Fault(C.ENDPOINT_MISMATCH, status=200, cause="other_api"),
        WORKED,
        (
            f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3) answers as another API does. The key "
            "was not changed."
        ),
        f"Correct the address: {SHOW}",
    ),
    (
        "a stream comes that nobody asked for",
        Fault(C.ENDPOINT_MISMATCH, status=200, cause="unasked_stream"),
        WORKED,
        (
            f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3) sent a stream although none was asked "
            "for. The key was not changed."
        ),
        f"Correct the address: {SHOW}",
    ),
    (
        "the address is one that no key may go to",
        Fault(C.ENDPOINT_MISMATCH, phase=Phase.CONNECT, cause="address"),
        WORKED,
        (
            f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3) leads to an address that no provider "
            "has: link-local, unspecified, a metadata service, or for this machine's name another one. "
            "Nothing was sent, the key was not changed."
        ),
        f"Correct the address: {SHOW}",
    ),
    (
        "nothing is known of the key",
        REFUSED,
        None,
        f"{HOST} does not accept this key.",
        f"Check that env:MIMO_KEY holds a live key of this host, then: {AGAIN}",
    ),
    (
        "the key worked here four minutes ago",
        REFUSED,
        WORKED,
        f"{HOST} rejected a key that it accepted 4 min ago.",
        f"This often passes by itself. If not, replace the value of env:MIMO_KEY, then: {AGAIN}",
    ),
    (
        "the key worked here, and the verdict has an end",
        replace(REFUSED, reset_at=NOW + 60),
        WORKED,
        f"{HOST} rejected a key that it accepted 4 min ago. Estimated retry time: 14:32 (in 1 min).",
        f"This often passes by itself. If not, replace the value of env:MIMO_KEY, then: {AGAIN}",
    ),
    (
        "the key is dead, whatever it did before",
        Fault(C.AUTH_REJECTED, status=401, terminal=True),
        WORKED,
        "The provider says that this key, or its account, was deleted, blocked or reported as leaked.",
        f"Make a new key there and replace the value of env:MIMO_KEY with it, then: {AGAIN}",
    ),
    (
        "a proxy without its database accepts its master key alone, and refuses every other",
        Fault(C.AUTH_REJECTED, status=400, cause="proxy_without_database"),
        NEVER,
        f"{HOST} runs without its database: it accepts only its master key.",
        f"Let the operator of {HOST} connect its database, or use its master key, then: {AGAIN}",
    ),
    (
        "the login ran out",
        Fault(C.AUTH_EXPIRED, status=401),
        WORKED,
        "The sign-in behind this connection has expired.",
        f"Sign in where env:MIMO_KEY gets its value, then: {AGAIN}",
    ),
    (
        "the grant is gone",
        Fault(C.AUTH_EXPIRED, status=400, terminal=True),
        WORKED,
        "The sign-in behind this connection has ended for good. Other sessions that use it stop as well.",
        f"Sign in where env:MIMO_KEY gets its value, then: {AGAIN}",
    ),
    (
        "the plan does not include the model",
        Fault(C.NOT_ENTITLED, status=403),
        WORKED,
        "The key is accepted, but not for mimo-v2.5-pro, or not for what was asked of it.",
        f"Choose a model that it may use, or change the plan: {MODELS}",
    ),
    (
        "nobody is signed in any more",
        Fault(C.AUTH_EXPIRED, phase=Phase.UNSENT, sent=False, terminal=True),
        None,
        "The sign-in behind this connection has ended. Other sessions that use it stop as well.",
        f"Sign in again: holdfast key login {MIMO}",
    ),
    (
        "the service that renews a token does not answer",
        Fault(C.TRANSIENT, phase=Phase.UNSENT, sent=False, cause="renewal"),
        None,
        "The token of env:MIMO_KEY has expired, and its sign-in service could not renew it now.",
        f"Try again in a moment. If it still fails, sign in again: holdfast key login {MIMO}",
    ),
    (
        "the program that prints a key fails",
        Fault(C.TRANSIENT, phase=Phase.UNSENT, sent=False, cause="source"),
        None,
        "No key was sent: env:MIMO_KEY gives none now. Your key is not to blame.",
        f"Try again in a moment. If it still fails, see what it says: holdfast check {PIN}",
    ),
    (
        "a firewall stands before the provider",
        Fault(C.BLOCKED, status=403),
        WORKED,
        (
            "A region rule, network rule or firewall blocked the request before the provider's API. Another "
            "key would not help."
        ),
        f"Check VPN, proxy and IP allow-list, then: holdfast check {PIN}",
    ),
    (
        "the account pays for less",
        Fault(C.QUOTA_EXHAUSTED, status=402, cause="affordable"),
        WORKED,
        "The account behind this key has not enough credit left for a request of this size.",
        "Ask for a shorter answer, or add credit. See what was sent: holdfast why issue-42",
    ),
    (
        "the account is empty",
        Fault(C.QUOTA_EXHAUSTED, status=402),
        WORKED,
        "The account behind this key has no balance left, or reached its spending cap.",
        f"Top up or raise the cap, then: {AGAIN}",
    ),
    (
        "the five-hour allowance is used up, and the provider says until when",
        Fault(C.QUOTA_WINDOW, status=429, reset_at=NOW + 7_800, signs=("code:1308", "hint:retry-after-ms")),
        WORKED,
        (
            "The plan's allowance for this period is used up. The provider says the limit resets at 16:41 "
            "(in 2 h 10 min)."
        ),
        f"Wait (the session stays saved), or choose another connection: {CHOOSE}",
    ),
    (
        "the allowance is used up, and nobody says until when",
        Fault(C.QUOTA_WINDOW, status=429),
        WORKED,
        "The plan's allowance for this period is used up.",
        f"Wait (the session stays saved), or choose another connection: {CHOOSE}",
    ),
    (
        "a throttle of twelve seconds",
        Fault(C.RATE_LIMITED, status=429, reset_at=NOW + 12, signs=("hint:retry-after",)),
        WORKED,
        (
            "Too many requests: the rate limit of this key or account is reached. The provider says the "
            "limit resets at 14:31 (in 12 s)."
        ),
        f"Send fewer requests at once, or choose another connection: {CHOOSE}",
    ),
    (
        "the provider is overloaded",
        Fault(C.PROVIDER_UNAVAILABLE, status=529, cause="capacity"),
        WORKED,
        f"{HOST} cannot answer now: overloaded or out of service. Your key is not to blame.",
        f"Try again later, or choose another connection: {CHOOSE}",
    ),
    (
        "the proxy's own key was refused by its supplier",
        Fault(C.PROVIDER_UNAVAILABLE, status=401, cause="upstream_credential"),
        NEVER,
        f"The supplier behind {HOST} refused {HOST}. Your key is not to blame.",
        f"Tell the operator of {HOST}; meanwhile choose another connection: {CHOOSE}",
    ),
    (
        "a server error",
        Fault(C.TRANSIENT, status=500),
        WORKED,
        f"{HOST} failed with HTTP 500.",
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "a model that failed, told inside an answer with a good status",
        Fault(C.TRANSIENT, phase=Phase.PRE_OUTPUT, status=200),
        WORKED,
        f"{HOST} took the request and then reported a failure of its own, with HTTP 200.",
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "a model that failed after its first words",
        Fault(C.TRANSIENT, phase=Phase.POST_OUTPUT, status=200),
        WORKED,
        (
            f"{HOST} reported a failure of its own after part of the answer had reached the client. Such a "
            "request is not sent again."
        ),
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "a connection cut before any output, with the request already written",
        Fault(C.TRANSIENT, phase=Phase.HEADERS, maybe_processed=True),
        WORKED,
        f"The connection to {HOST} broke before any output. It may have been processed, and billed.",
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "a stream cut after its first words",
        Fault(C.TRANSIENT, phase=Phase.POST_OUTPUT, status=200, cause="truncated"),
        WORKED,
        (
            f"The answer of {HOST} broke off after part of it had reached the client. Such a request is not "
            "sent again."
        ),
        f"Try again. If it still fails: holdfast check {PIN}",
    ),
    (
        "a model that nobody knows, with near names",
        Fault(C.MODEL_UNAVAILABLE, status=404, hint="did you mean mimo-v2-pro?"),
        WORKED,
        f"{HOST} has no model named mimo-v2.5-pro. Did you mean mimo-v2-pro?",
        f"Choose a model that it has: {MODELS}",
    ),
    (
        "a model that the provider lists and refuses",
        Fault(C.MODEL_UNAVAILABLE, status=404, cause="listed"),
        WORKED,
        f"{HOST} refuses mimo-v2.5-pro, although the last list of models that it gave names it.",
        f"Choose another model. What it lists now is shown by: {MODELS} --refresh",
    ),
    (
        "a model that only the configuration names",
        Fault(C.MODEL_UNAVAILABLE, status=404, cause="declared", hint="did you mean mimo-v2-pro?"),
        WORKED,
        (
            f"{HOST} has no model named mimo-v2.5-pro, although your configuration names it. Did you mean "
            "mimo-v2-pro?"
        ),
        f"Correct the name in holdfast.toml. What it lists now is shown by: {MODELS} --refresh",
    ),
    (
        "a model that nobody knows, without near names",
        Fault(C.MODEL_UNAVAILABLE, status=404),
        WORKED,
        f"{HOST} has no model named mimo-v2.5-pro.",
        f"Choose a model that it has: {MODELS}",
    ),
    (
        "the trial behind the key is over",
        Fault(C.NOT_ENTITLED, status=403, provider_code="trial_expired", excerpt="Your trial has expired."),
        WORKED,
        "The key is accepted, but the trial or plan behind it has ended.",
        f"Renew or change the plan of this account, then: holdfast key reset {MIMO} a",
    ),
    (
        "the key works at another host",
        Fault(C.ENDPOINT_MISMATCH, status=401, hint="https://api.example/v1", cause="key_works_elsewhere"),
        NEVER,
        (
            f"This key works at https://api.example/v1, but the call went to {URL} (set in "
            "provider.mimo-plan.url, holdfast.toml:3). The key was not changed."
        ),
        f"{OTHER_DOOR}: {SHOW}",
    ),
    (
        "keys with this prefix belong to another host",
        Fault(C.ENDPOINT_MISMATCH, status=404, hint="plan.example"),
        NEVER,
        (
            f"Keys like this one belong to plan.example, but the call went to {URL} (set in "
            "provider.mimo-plan.url, holdfast.toml:3). The key was not changed."
        ),
        f"{OTHER_DOOR}: {SHOW}",
    ),
    (
        "a certificate, which says nothing about the key",
        Fault(C.ENDPOINT_MISMATCH, phase=Phase.CONNECT, cause="certificate", hint="https://api.example/v1"),
        NEVER,
        (
            f"The certificate at {URL} (set in provider.mimo-plan.url, holdfast.toml:3) is not trusted here, "
            "or not made for that name. The key was not changed."
        ),
        f"Correct the address; if its authority is your own, name its file in SSL_CERT_FILE: {SHOW}",
    ),
    (
        "nobody listens there",
        Fault(C.ENDPOINT_MISMATCH, phase=Phase.CONNECT, excerpt="ConnectError: connection refused"),
        NEVER,
        (
            f"Nothing that speaks the expected API answers at {URL} (set in provider.mimo-plan.url, "
            "holdfast.toml:3). The key was not changed."
        ),
        f"Start the server, or correct the address: {SHOW}",
    ),
    *(
        (
            f"its host cannot be used: {cause}",
            Fault(kind, cause=cause, phase=Phase.CONNECT),
            NEVER,
            text.format(at=f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3)", host=HOST),
            step,
        )
        for kind, cause, text, step in (
            (
                C.ENDPOINT_MISMATCH,
                "server_not_running",
                "Nothing listens at {at}: the connection was refused. The key was not changed.",
                f"Start the server, or correct the address: {SHOW}",
            ),
            (
                C.ENDPOINT_MISMATCH,
                "dns",
                "The host of {at} cannot be found: its name does not resolve. The key was not changed.",
                f"Correct the address, or see to this machine's network: {SHOW}",
            ),
            (
                C.ENDPOINT_MISMATCH,
                "tls",
                "{at} does not speak TLS (https), or another version of it. The key was not changed.",
                f"Correct the address: http:// or https://, and the port: {SHOW}",
            ),
            (
                C.ENDPOINT_MISMATCH,
                "not_http",
                "{at} answers, and not in HTTP. The key was not changed.",
                f"Correct the address: {SHOW}",
            ),
            (
                C.TRANSIENT,
                "dns",
                "The name {host} cannot be resolved now.",
                f"Correct the address, or see to this machine's network: {SHOW}",
            ),
            (
                C.TRANSIENT,
                "refused",
                "{host} refuses connections.",
                f"See that its server runs. If it does: holdfast check {PIN}",
            ),
            (
                C.TRANSIENT,
                "timeout",
                "{host} gave no answer in time.",
                f"Try again. If it still fails: holdfast check {PIN}",
            ),
        )
    ),
    (
        "its certificate is another's",
        Fault(
            C.ENDPOINT_MISMATCH,
            cause="certificate",
            phase=Phase.CONNECT,
            excerpt="ConnectError: certificate verify failed",
        ),
        NEVER,
        (
            f"The certificate at {URL} (set in provider.mimo-plan.url, holdfast.toml:3) is not trusted here, "
            "or not made for that name. The key was not changed."
        ),
        f"Correct the address; if its authority is your own, name its file in SSL_CERT_FILE: {SHOW}",
    ),
    (
        "a route that it lacks, beside others that answered",
        Fault(C.ENDPOINT_MISMATCH, status=404, excerpt="Not Found"),
        WORKED,
        (
            f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3) has answered other requests with this "
            "key, but has nothing at this path. The key was not changed."
        ),
        "Do without it, or choose a connection that has it: holdfast session pin issue-42 PROVIDER/MODEL",
    ),
    (
        "404 page not found",
        Fault(C.ENDPOINT_MISMATCH, status=404, excerpt="404 page not found"),
        NEVER,
        (
            f"{URL} (set in provider.mimo-plan.url, holdfast.toml:3) does not speak the expected API. The "
            "key was not changed."
        ),
        f"Correct the address: {SHOW}",
    ),
    (
        "a conversation larger than the window",
        Fault(C.CONTEXT_OVERFLOW, status=400, excerpt="prompt is too long: 209375 tokens > 200000 maximum"),
        WORKED,
        "This prompt is too long: it exceeds the maximum context length of mimo-v2.5-pro.",
        f"Compact the conversation, or choose a model with a larger window: {MODELS}",
    ),
    (
        "the policy filter",
        Fault(C.CONTENT_BLOCKED, status=400),
        WORKED,
        "The provider's policy refused this input or output. Your key is unaffected.",
        "Change the content. See what was sent: holdfast why issue-42",
    ),
    (
        "a parameter that the provider does not take",
        Fault(C.BAD_REQUEST, status=400),
        WORKED,
        f"{HOST} rejects the request itself.",
        "Correct what the provider names, or update the client. See what was sent: holdfast why issue-42",
    ),
    (
        "a thought that another account encrypted",
        Fault(C.BAD_REQUEST, status=400, cause="replay_state"),
        WORKED,
        f"{HOST} does not accept what this request refers to: it was made with another key, or is gone.",
        "Use the key that made it, or begin the conversation anew. See which keys: holdfast why issue-42",
    ),
    (
        "a route that the provider does not offer",
        Fault(C.BAD_REQUEST, status=404, cause="no_route"),
        None,
        (
            f"{HOST} has nothing at this path: not every provider offers this route. That says nothing about "
            "the key or the address."
        ),
        ("Do without it, or choose a connection that has it: holdfast session pin issue-42 PROVIDER/MODEL"),
    ),
    (
        "a teapot",
        Fault(C.UNKNOWN, status=418),
        WORKED,
        f"{HOST} sent an answer that Holdfast does not recognise.",
        (
            "Report its shape, which holds nothing private, so that it gets a class. It is listed by: "
            "holdfast report --list"
        ),
    ),
]


@rows(("fault", "evidence", "what", "next_step"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_fault_says_what_it_is_and_what_to_run(
    fault: Fault, evidence: Evidence | None, what: str, next_step: str
) -> None:
    explanation = explained(fault, evidence=evidence)
    assert (explanation.what, explanation.next_step) == (what, next_step)


def test_an_endpoint_that_takes_no_key_and_wants_one_says_so() -> None:
    explanation = explained(Fault(C.AUTH_REJECTED, status=401), connection=LOCAL, evidence=None)
    assert explanation.what == "127.0.0.1:8080 asks for a key, but this endpoint is configured to use none."
    assert explanation.next_step == "Give the provider a key: holdfast key add den --from env:NAME"
    assert explanation.where == "den/llama → 127.0.0.1:8080 · llama · no key needed"
    assert explanation.tried == "1 request without a key (auth rejected)."


@pytest.mark.parametrize("kind", [C.AUTH_EXPIRED, C.NOT_ENTITLED])
def test_a_refusal_that_only_a_missing_key_explains_asks_for_a_key(kind: FaultClass) -> None:
    explanation = explained(Fault(kind, status=403), connection=LOCAL, evidence=None)
    assert "127.0.0.1:8080 asks for a key" in explanation.what
    assert explanation.command == "holdfast key add den --from env:NAME"


@pytest.mark.parametrize("kind", [C.PROVIDER_UNAVAILABLE, C.ENDPOINT_MISMATCH, C.CONTENT_BLOCKED])
def test_nothing_is_said_of_a_key_where_there_is_none(kind: FaultClass) -> None:
    assert "key" not in explained(Fault(kind, status=503), connection=LOCAL, evidence=None).what
    assert "key" in explained(Fault(kind, status=503)).what


def test_without_a_key_the_way_to_ask_anew_is_a_check() -> None:
    assert (
        explained(Fault(C.QUOTA_EXHAUSTED, status=402), connection=LOCAL).next_step
        == "Top up or raise the cap, then: holdfast check den/llama"
    )


def test_every_sentence_of_the_table_is_spoken_by_some_fault() -> None:
    spoken = [
        (fault.kind, case)
        for _, fault, evidence, *_ in TABLE
        for case in [_case(fault, CONNECTION, evidence)]
    ]
    keyless = {(kind, "takes no key") for kind in (C.AUTH_REJECTED, C.AUTH_EXPIRED, C.NOT_ENTITLED)}
    assert {(kind, case) for kind, texts in WHAT.items() for case in texts} == {*spoken, *keyless}
    assert set(WHAT) == set(FaultClass)


def _case(fault: Fault, connection: Connection, evidence: Evidence | None) -> str:
    cases = module._cases(fault, connection, evidence)
    return next(case for case in WHAT[fault.kind] if cases[case])


COMMANDS = re.compile(
    r"holdfast (key add \S+ --from|key login \S+$|key reset \S+ \S+$|check \S+/"
    r"|models --provider \S+(?: --refresh)?$|provider show \S+$|why \S+$|report --list$"
    r"|session pin \S+ PROVIDER/MODEL$)"
)


@rows("fault", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_every_explanation_ends_with_a_command_that_exists(fault: Fault) -> None:
    explanation = explained(fault)
    assert COMMANDS.match(explanation.command)
    assert explanation.next_step.endswith(f": {explanation.command}")


@pytest.mark.parametrize("kind", [C.PROVIDER_UNAVAILABLE, C.ENDPOINT_MISMATCH])
def test_where_the_key_is_innocent_nothing_calls_it_invalid(kind: FaultClass) -> None:
    for cause in (None, "upstream_limit", "key_works_elsewhere"):
        text = str(
            explained(Fault(kind, status=401, cause=cause, hint="https://api.example/v1" if cause else None))
        )
        assert "Your key is not to blame" in text or "The key was not changed" in text
        assert not re.search(r"invalid|refuses a key|not accept", text)


# ------------------------------------------------------------------ whole messages, as they appear on a
# terminal
def test_a_good_key_that_is_suddenly_refused_reads_like_this() -> None:
    log = attempts(
        (CONNECTION, 0.0, 0.2, REFUSED, "asked again after 0.5 s: this key worked here before", False),
        (CONNECTION, 0.7, 0.1, REFUSED, "asked again after 1 s: this key worked here before", True),
        (CONNECTION, 1.8, 0.2, REFUSED, "fell back to the next", True),
        (SPARE, 2.0, 0.1, REFUSED, "", False),
    )
    assert str(explained(REFUSED, *log, evidence=WORKED)) == (
        "token-plan-cn.xiaomimimo.com rejected a key that it accepted 4 min ago.\n"
        "mimo-plan/mimo-v2.5-pro → token-plan-cn.xiaomimimo.com · mimo-v2.5-pro · key 'a' …3f9A "
        "(env:MIMO_KEY; last worked here 4 min ago)\n"
        "Tried: 4 requests over 2.1 s: 3 requests with key 'a' (asked again after 0.5 s, 1 s; 2 of them to "
        "test a key that had worked; auth rejected);"
        " switched to another key: 1 request with key 'b' (auth rejected).\n"
        "Next: This often passes by itself. If not, replace the value of env:MIMO_KEY, then: holdfast key "
        "reset mimo-plan a\n"
        "The provider said (HTTP 401, request req_7): “Invalid API Key”"
    )


def test_a_verdict_from_memory_says_that_nothing_was_sent_and_for_how_long() -> None:
    later = replace(REFUSED, reset_at=NOW + 9_000)
    text = explain(later, CONNECTION, (), WORKED, NOW, memory_ends=NOW + 300, clock=clock).tried
    assert text == (
        "nothing was sent; what mimo-plan/mimo-v2.5-pro key 'a' at token-plan-cn.xiaomimimo.com last "
        "answered is remembered until 14:36 (in 5 min)."
    )
    assert explain(REFUSED, CONNECTION, (), NEVER, NOW, clock=clock).tried.endswith(
        "is remembered until the key or the URL changes."
    )


def test_a_key_that_could_not_be_read_was_not_sent() -> None:
    fault = Fault(
        C.AUTH_REJECTED, phase=Phase.UNSENT, sent=False, excerpt="SecretMissing: variable MIMO_KEY is not set"
    )
    explanation = explained(fault, evidence=None)
    assert explanation.tried == "nothing was sent; key 'a' could not be read."
    assert explanation.quote == "The error was: “SecretMissing: variable MIMO_KEY is not set”"
    assert explanation.where.endswith("key 'a' …3f9A (env:MIMO_KEY)")


def test_a_fallback_that_answered_is_named_in_the_words_of_the_log() -> None:
    down = Fault(C.TRANSIENT, status=502)
    step = "fell back to router/xiaomi/mimo"
    log = attempts((CONNECTION, 0, 1, down, step, False), (FALLBACK, 1, 1, down, "", False))
    tried = explain(down, FALLBACK, log, NEVER, NOW, memory_ends=NOW + 60, clock=clock).tried
    assert tried == (
        "2 requests over 2 s: 1 request with key 'a' (transient); fell back to router/xiaomi/mimo: 1 "
        "request with key 'main' (transient)."
    )


def test_a_fallback_that_is_cooling_was_not_asked() -> None:
    down = Fault(C.PROVIDER_UNAVAILABLE, status=503, reset_at=NOW + 60)
    log = attempts((CONNECTION, 0, 1, down, "fell back to router/xiaomi/mimo", False))
    tried = explain(down, FALLBACK, log, NEVER, NOW, memory_ends=NOW + 60, clock=clock).tried
    assert tried == (
        "1 request with key 'a' (provider unavailable); fell back to router/xiaomi/mimo;"
        " what router/xiaomi/mimo key 'main' at router.example last answered is remembered until 14:32 (in 1 "
        "min)."
    )


def test_an_attempt_that_was_answered_is_described_as_one() -> None:
    log = attempts((CONNECTION, 0, 1, None, "", False))
    assert (
        explained(Fault(C.TRANSIENT, phase=Phase.POST_OUTPUT), *log).tried
        == "1 request with key 'a' (answered)."
    )


def test_an_answer_without_words_is_said_to_have_none() -> None:
    assert explained(Fault(C.BLOCKED, status=403)).quote == "The provider said (HTTP 403): nothing"
    assert explained(Fault(C.TRANSIENT)).quote == ""


@pytest.mark.parametrize("shown", ["****", "", "sk-live-0123456789abcdef", "… and more"])
def test_a_mask_without_a_tail_shows_none(shown: str) -> None:
    where = explain(REFUSED, CONNECTION, (), NEVER, NOW, key_shown=shown, clock=clock).where
    assert where == f"{PIN} → {HOST} · mimo-v2.5-pro · key 'a' (env:MIMO_KEY; never worked here)"


# ------------------------------------------------------------------ what holds for any log
# Each verb of action, and what the log must hold before a message may use it.
VERBS = {
    r"\bask(ed|ing) again": lambda log: any(
        attempt.connection == after.connection for attempt, after in pairwise(_sent(log))
    ),
    r"\bswitched": lambda log: len({attempt.connection.key for attempt in _sent(log)}) > 1,
    r"\bto test a key": lambda log: any(attempt.probe for attempt in _sent(log)),
    r"\bf[ae]ll(s|en)? back": lambda log: False,
    r"\bretried": lambda log: False,
    r"\brefreshed|\brenewed|\bwaited|\bread anew": lambda log: False,
}


def _sent(log: tuple[Attempt, ...]) -> list[Attempt]:
    return [attempt for attempt in log if attempt.fault is None or attempt.fault.phase is not Phase.UNSENT]


times = st.floats(0, 1e4)
faults = st.builds(
    Fault,
    st.sampled_from(list(FaultClass)),
    phase=st.sampled_from(list(Phase)),
    status=st.none() | st.integers(100, 599),
    terminal=st.booleans(),
    sent=st.booleans(),
    reset_at=st.none() | st.floats(NOW - 1e5, NOW + 1e7),
    hint=st.none() | st.just("https://api.example/v1"),
    cause=st.sampled_from([None, "upstream_limit", "key_works_elsewhere", "timeout"]),
    maybe_processed=st.booleans(),
)
steps = st.sampled_from(
    [
        "",
        "tried again after 0.3 s",
        "the key had been replaced meanwhile: sent again with the new value",
        "waited for another request",
    ]
)
tries = st.builds(
    Attempt,
    st.integers(1, 9),
    st.sampled_from([CONNECTION, SPARE, FALLBACK, LOCAL]),
    times.map(NOW.__add__),
    times.map(NOW.__add__),
    st.none() | faults,
    st.booleans(),
    steps,
)
records = st.sampled_from([None, WORKED, NEVER])


@given(
    faults, st.sampled_from([CONNECTION, FALLBACK, LOCAL]), st.lists(tries, max_size=6).map(tuple), records
)
def test_a_verb_is_spoken_only_if_an_attempt_backs_it(
    fault: Fault, connection: Connection, log: tuple[Attempt, ...], evidence: Evidence | None
) -> None:
    text = str(explain(fault, connection, log, evidence, NOW, clock=clock))
    backed_by_words = " ".join(attempt.then for attempt in log)
    for verb, backed in VERBS.items():
        if re.search(verb, text):
            assert backed(log) or re.search(verb, backed_by_words), (verb, text)
    sent = _sent(log)
    assert ("nothing was sent" in text) is (not sent)
    assert sum(int(n) for n in re.findall(r"(\d+) requests? with", text)) == len(sent)


@given(faults, st.lists(tries, max_size=6).map(tuple), records)
def test_every_explanation_has_four_lines_and_a_next_step(
    fault: Fault, log: tuple[Attempt, ...], evidence: Evidence | None
) -> None:
    lines = str(explain(fault, CONNECTION, log, evidence, NOW, clock=clock)).splitlines()
    assert len(lines) in (4, 5)
    assert lines[1].startswith(PIN)
    assert lines[2].startswith("Tried: ")
    assert re.search(r"^Next: .*holdfast \w+", lines[3])


SECRETS = [
    "sk-proj-AbCdEf0123456789xyz",
    "tp-0123456789abcdefghij",
    "0123456789abcdef0123456789abcdef",
    "Bearer abcdefghijklmnop",
    "someone@example.org",
]


@given(st.sampled_from(SECRETS), st.sampled_from(list(FaultClass)), records)
def test_nothing_shaped_like_a_secret_is_quoted(
    secret: str, kind: FaultClass, evidence: Evidence | None
) -> None:
    key = Key(NAME, "a", f"cmd:print {secret}")
    connection = Connection(
        Provider(NAME, (Endpoint(URL),), (key,)), Dialect.OPENAI_CHAT, key, "mimo-v2.5-pro"
    )
    fault = Fault(
        kind, status=401, excerpt=f"Incorrect API key provided: {secret}. Ask https://x.example/?key={secret}"
    )
    text = str(explain(fault, connection, (), evidence, NOW, key_shown=secret, clock=clock))
    assert secret not in text
    assert len(text.splitlines()[-1]) < 220


# ------------------------------------------------------------------ times
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.04, "0 s"),
        (3.61, "3.6 s"),
        (12, "12 s"),
        (60, "1 min"),
        (119, "1 min"),
        (250, "4 min"),
        (600, "10 min"),
        (3_600, "1 h"),
        (7_800, "2 h 10 min"),
        (36_000, "10 h"),
        (172_799, "47 h 59 min"),
        (259_200, "3 days"),
    ],
)
def test_a_length_of_time_reads_like_speech(seconds: float, text: str) -> None:
    assert since(seconds) == text


def test_without_a_time_zone_the_clock_says_utc() -> None:
    assert utc(NOW) == "2026-03-02 14:31:00 UTC"


def test_the_document_of_errors_says_what_the_code_says() -> None:
    root = Path(__file__).resolve().parents[2]
    checked = run(
        [sys.executable, root / "docs" / "_generate" / "errors.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    headings = re.findall(
        r"^## `(\w+)`$", (root / "docs" / "reference" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings == [str(kind) for kind in FaultClass]


def of_a(ref: str) -> Connection:
    """The connection with a key that is read from elsewhere."""
    key = replace(CONNECTION.key, ref=ref)  # type: ignore[type-var]
    return replace(CONNECTION, provider=replace(CONNECTION.provider, keys=(key,)), key=key)


@pytest.mark.parametrize(
    "fault",
    [
        REFUSED,
        Fault(C.AUTH_EXPIRED, status=401),
        Fault(C.AUTH_EXPIRED, status=401, terminal=True),
        Fault(C.AUTH_EXPIRED, phase=Phase.UNSENT, sent=False, terminal=True),
    ],
)
def test_a_refused_sign_in_says_to_sign_in_again(fault: Fault) -> None:
    for evidence in (NEVER, WORKED):
        explanation = explain(fault, of_a("oauth:corp"), (), evidence, NOW, clock=clock)
        assert explanation.command == f"holdfast key login {MIMO}"


def test_what_a_server_read_from_its_own_environment_is_said_to_be_its_own() -> None:
    reader = "gateway process 4711"
    unread = Fault(C.AUTH_REJECTED, phase=Phase.UNSENT, sent=False)
    for fault, evidence in ((REFUSED, NEVER), (REFUSED, WORKED), (unread, None)):
        served = explain(fault, CONNECTION, (), evidence, NOW, reader=reader, clock=clock)
        assert "env:MIMO_KEY as gateway process 4711 has it" in served.where
        assert "tart gateway process 4711 again" in served.advice
        assert "key reset" not in served.command, "the same value would be refused again"
        elsewhere = explain(fault, of_a("cmd:pass mimo"), (), evidence, NOW, reader=reader, clock=clock)
        assert "4711" not in str(elsewhere)
    other = explain(Fault(C.BLOCKED, status=403), CONNECTION, (), NEVER, NOW, reader=reader, clock=clock)
    assert "4711" not in str(other), "which environment it was does not matter there"


def test_a_failed_fallback_names_the_choice_it_answered_for() -> None:
    fault = Fault(C.TRANSIENT, status=500)
    text = explain(fault, FALLBACK, (), NEVER, NOW, chosen=CONNECTION.pin, clock=clock).where
    assert f"(a fallback of {CONNECTION.pin}; " in text
    own = explain(fault, CONNECTION, (), NEVER, NOW, chosen=CONNECTION.pin, clock=clock).where
    assert "fallback" not in own


def test_a_verdict_without_an_end_is_remembered_until_the_key_changes() -> None:
    tried = explain(REFUSED, CONNECTION, (), NEVER, NOW, memory_ends=float("inf"), clock=clock).tried
    assert tried.endswith("is remembered until the key or the URL changes.")
