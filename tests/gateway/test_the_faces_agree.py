"""The library and the gateway tell the same error alike in every dialect: same status, code, class and so
on."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import anthropic
import httpx2
import openai
import pytest

import holdfast
from holdfast.core.errors import HoldfastError, NoSession, NotReady, SourceSilent
from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Dialect
from holdfast.core.steps import Call, Outcome, Refused
from holdfast.engine.closed import Closed
from holdfast.testing import Behaviour, ScriptedProvider, ok, status, wrong_door
from holdfast.wire.error_bodies import from_error, refusal, unreadable
from holdfast.wire.error_kinds import ERRORS, FAULTS, REFUSALS, UNREADABLE, ErrorKind
from tables import rows

from .conftest import Running, StartGateway  # type: ignore[import-not-found]

ROUTES = {
    Dialect.OPENAI_CHAT: "chat/completions",
    Dialect.OPENAI_RESPONSES: "responses",
    Dialect.ANTHROPIC_MESSAGES: "messages",
}
BODY: dict[str, Any] = {"model": "mine/scripted-1", "messages": []}
ANTHROPIC_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
}

# The status and code of each error. A new error fails until it has a row here.
DECIDED: dict[str, tuple[int, str]] = {
    "AmbiguousModel": (400, "model_ambiguous"),
    "Busy": (503, "file_busy"),
    "CannotHandOver": (409, "cannot_hand_over"),
    "Closed": (409, "closed"),
    "ConfigError": (503, "config_broken"),
    "ConnectionLost": (409, "connection_lost"),
    "HoldfastError": (500, "internal"),
    "IdentityError": (409, "identity_error"),
    "InUse": (409, "in_use"),
    "ModelDropped": (409, "model_dropped"),
    "NoSession": (409, "no_session"),
    "NotReady": (503, "not_ready"),
    "NotRenewed": (503, "not_renewed"),
    "NotSignedIn": (409, "not_signed_in"),
    "NotTranslated": (404, "not_translated"),
    "OtherAccount": (409, "other_account"),
    "PartlyRenamed": (503, "store_unavailable"),
    "Refused": (401, "auth_rejected"),
    "SecretMissing": (409, "secret_missing"),
    "SignInEnded": (409, "sign_in_ended"),
    "SourceSilent": (503, "source_silent"),
    "StaleSession": (409, "session_changed"),
    "StoreAway": (503, "store_unavailable"),
    "StoreError": (503, "store_unavailable"),
    "UnknownModel": (404, "model_not_found"),
    "Untranslatable": (400, "untranslatable"),
    "WrongDialect": (400, "wrong_dialect"),
}


def subclasses(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def every_error() -> list[type[HoldfastError]]:
    """Return all classes of errors, wherever they are defined; but not the command line's own, which reach no
    client."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = {kind for kind in subclasses(HoldfastError) if kind.__module__.startswith("holdfast.")}
    seen_by_clients = [kind for kind in kinds if not kind.__module__.startswith("holdfast.cli")]
    return sorted(seen_by_clients, key=lambda kind: kind.__name__)


EVERY_ERROR = every_error()


def made(kind: type[HoldfastError]) -> HoldfastError:
    """Return an error of this class with all that it can hold."""
    more: dict[str, Any] = {"next_step": "holdfast provider list"}
    if issubclass(kind, NotReady):
        more |= {"reason": "busy", "retry_at": 1_772_460_000.5}
    if issubclass(kind, Refused):
        more |= {"fault": Fault(FaultClass.AUTH_REJECTED, status=401)}
    try:
        return kind("what is wrong", candidates=["mine/scripted-1"], **more)  # type: ignore[call-arg]
    except TypeError:
        return kind("what is wrong", **more)


class Seen(NamedTuple):
    """One answer, as far as the faces must agree."""

    status: int
    type: str
    code: str | None
    name: str
    next_step: str
    candidates: list[str] | None
    message: str
    retry: tuple[str | None, ...]


def seen(code: int, headers: Any, body: bytes) -> Seen:
    document = json.loads(body)
    error = document["error"]
    machine = error["holdfast"]
    return Seen(
        code,
        error["type"],
        error.get("code"),
        machine["class"],
        machine["next_step"],
        machine.get("candidates"),
        error["message"],
        tuple(
            headers.get(name)
            for name in ("x-should-retry", "retry-after", "holdfast-reset-at", "content-type")
        ),
    )


def through_the_library(plane: Running, dialect: Dialect) -> httpx2.Response:
    with httpx2.Client(
        transport=plane.holdfast.session("work").transport(), base_url="http://holdfast.invalid/v1"
    ) as client:
        return client.post(f"/{ROUTES[dialect]}", json=BODY)


def through_both(plane: Running, dialect: Dialect) -> tuple[Seen, Seen]:
    """Return what the library and what the gateway answer to one request in `dialect`."""
    plane.holdfast.session("work", "mine/scripted-1")
    answer = through_the_library(plane, dialect)
    return (
        seen(answer.status_code, answer.headers, answer.content),
        seen(*plane.post(ROUTES[dialect], BODY, holdfast_session="work")),
    )


Fails = Callable[[HoldfastError], None]


@pytest.fixture
def plane(gateway: StartGateway, provider: ScriptedProvider) -> Running:
    return gateway(provider)


@pytest.fixture
def fails(plane: Running, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Let every request of both faces end with this error before anything is sent."""

    def fail(error: HoldfastError) -> None:
        def start_request(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(plane.holdfast.engine, "start_request", start_request)

    return fail


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Let every request of both faces end with this fault, without anything that was sent."""

    def end(fault: Fault) -> None:
        def flow(call: Call, *_: Any) -> Iterator[Any]:
            yield from ()
            return Outcome(call.route.connection, (), fault)

        monkeypatch.setattr("holdfast.engine.request.flow", flow)

    return end


def test_somebody_decided_about_every_error_that_a_client_may_see() -> None:
    assert {kind.__name__ for kind in EVERY_ERROR} == DECIDED.keys()
    assert {name for name in DECIDED if name != "Refused"} == ERRORS.keys()
    assert set(FaultClass) == FAULTS.keys()


# Two errors are the library's alone: no session, which the gateway begins, and a closed home.
@pytest.mark.parametrize(
    "kind", [kind for kind in EVERY_ERROR if kind not in (NoSession, Closed)], ids=lambda kind: kind.__name__
)
def test_an_error_of_ours_is_reported_alike_by_both_faces(
    kind: type[HoldfastError], plane: Running, fails: Fails
) -> None:
    error = made(kind)
    expected, code = DECIDED[kind.__name__]
    fails(error)
    for dialect in Dialect:
        library, ours = through_both(plane, dialect)
        assert library == ours
        assert (ours.status, ours.name, ours.next_step) == (expected, code, "holdfast provider list")
        assert ours.code == (None if dialect is Dialect.ANTHROPIC_MESSAGES else code)
        assert ours.candidates == (list(error.candidates) if hasattr(error, "candidates") else None)
        assert ours.message == str(error)
        assert ours.retry[:2] == ("false", "5" if isinstance(error, SourceSilent) else None)


@pytest.mark.parametrize("kind", list(FaultClass))
def test_a_fault_is_reported_alike_by_both_faces(
    kind: FaultClass, plane: Running, ends: Callable[[Fault], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane.holdfast.engine.store, "now", lambda: 1_772_460_000.0)
    ends(Fault(kind, phase=Phase.HEADERS, status=400, retry_after=30.0, excerpt="some words"))
    for dialect in Dialect:
        library, ours = through_both(plane, dialect)
        assert library == ours
        assert ours.name == kind
        assert ours.next_step in ours.message
        throttled = kind is FaultClass.RATE_LIMITED
        assert ours.retry[:2] == ("false", "30" if throttled else None)


def failing(code: str, message: str = "no", kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "code": code, "message": message}}


# What a provider may answer, and the class that it means.
ANSWERED: dict[FaultClass, Behaviour] = {
    FaultClass.AUTH_REJECTED: status(401, failing("invalid_api_key", kind="authentication_error")),
    FaultClass.NOT_ENTITLED: status(403, failing("", "You have no access to this model", "permission_error")),
    FaultClass.QUOTA_EXHAUSTED: status(402, failing("insufficient_quota", "Insufficient balance")),
    FaultClass.QUOTA_WINDOW: status(429, failing("", "Weekly limit reached"), {"retry-after": "504641"}),
    FaultClass.RATE_LIMITED: status(429, failing("", "slow down", "rate_limit_error"), {"retry-after": "9"}),
    FaultClass.PROVIDER_UNAVAILABLE: status(503, failing("", "overloaded", "overloaded_error")),
    FaultClass.TRANSIENT: status(500, failing("", "server error", "api_error")),
    FaultClass.MODEL_UNAVAILABLE: status(404, failing("model_not_found", "no such model")),
    FaultClass.ENDPOINT_MISMATCH: wrong_door(),
    FaultClass.CONTEXT_OVERFLOW: status(400, failing("context_length_exceeded", "prompt is too long")),
    FaultClass.BAD_REQUEST: status(400, failing("invalid_value", "Invalid value for 'temperature'")),
}


@pytest.mark.parametrize("kind", ANSWERED)
def test_what_a_provider_refuses_is_reported_alike_by_both_faces(
    kind: FaultClass, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    speaks = (
        f'openai-chat = "{provider.url}", openai-responses = "{provider.url}", anthropic-messages = '
        f'"{provider.root}"'
    )
    one_key = f'[provider.mine]\nmodels = ["scripted-1"]\nkeys = ["env:KEY_A"]\nendpoints = {{ {speaks} }}\n'
    plane = gateway(config=f"{one_key}[settings]\nwait_budget = 0\nprobe_delays = [0]\n")
    provider.follow(ANSWERED[kind])
    for dialect in Dialect:
        library, ours = through_both(plane, dialect)
        assert library[:6] == ours[:6]
        assert ours.name == kind
        assert ours.retry[0] == library.retry[0]


KEY = "sk-aaaa-0123456789abcdef"
SENT = {
    "content-type": "application/json",
    "x-request-id": "req_theirs",
    "x-ratelimit-remaining-requests": "7",
    "openai-processing-ms": "12",
    "x-vendor-cost": "0.01",
    "x-vendor-note": "not for callers",
    "set-cookie": "a=b",
    "location": "https://elsewhere.example",
}
HTML, TEXT = {**SENT, "content-type": "text/html"}, {**SENT, "content-type": "text/plain"}
EVENTS = {**SENT, "content-type": "text/event-stream"}
PAGE = "<html><title>404 Not Found</title></html>"
FAILED: dict[str, Behaviour] = {
    "401 with JSON": status(401, failing("invalid_api_key"), SENT),
    "401 with a page": status(401, PAGE, HTML),
    "401 without a body": status(401, b"", HTML),
    "403 with a page": status(403, PAGE, HTML),
    "404 with JSON": status(404, failing("model_not_found", "no such model"), SENT),
    "404 with a page": status(404, PAGE, HTML),
    "404 without a body": status(404, b"", TEXT),
    "429 with text": status(429, "slow down", {**TEXT, "retry-after": "86400"}),
    "500 with text": status(500, "oops", TEXT),
    "503 with a page": status(503, PAGE, HTML),
    "503 with broken JSON": status(503, b'{"error": ', SENT),
    "200 with a page": status(200, PAGE, HTML),
    "200 without a body": status(200, b"", SENT),
    "200 with an error": status(200, failing("server_error"), SENT),
    "200 with an error as an event": status(200, b'data: {"error": {"message": "no"}}\n\n', EVENTS),
    "401 that repeats the key": status(401, PAGE, {**HTML, "x-request-id": f"for {KEY} only"}),
}


TIMES = {"holdfast-reset-at", "retry-after"}


def compared(headers: Any) -> list[tuple[str, str]]:
    """Return the headers of an answer that do not differ from one request, or connection, to the next."""
    framing = {"connection", "content-length", "transfer-encoding"}
    own = {"date", "holdfast-request-id", "holdfast-pin", "holdfast-session", *framing}
    request_id = headers["holdfast-request-id"]
    return sorted(
        (name.lower(), "ours" if value == request_id else value)
        for name, value in headers.items()
        if name.lower() not in own | TIMES
    )


def assert_alike(library: Any, gateway: Any) -> None:
    """Check that two answers have the same headers; a second may pass between the two requests."""
    assert compared(library) == compared(gateway)
    for name in TIMES:
        assert (name in library) == (name in gateway)
        if name in library:
            assert abs(float(library[name]) - float(gateway[name])) <= 1


def planted(name: str, provider: ScriptedProvider) -> str:
    """Return the entry of a provider that speaks all dialects and has one key."""
    speaks = f'openai-chat = "{provider.url}", openai-responses = "{provider.url}"'
    return (
        f'[provider.{name}]\nmodels = ["scripted-1"]\nkeys = ["env:KEY_A"]\n'
        f'endpoints = {{ {speaks}, anthropic-messages = "{provider.root}" }}\n'
        'forward_headers = ["x-vendor-cost", "x-seen-by"]\n'
    )


def sent_by_library(plane: Running, route: str, body: Any) -> httpx2.Response:
    """Send a request, or fetch a file where there is no body, through the library."""
    session = plane.holdfast.session("work")
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        if body is None:
            return client.get(f"/{route}")
        return client.post(f"/{route}", json=body)


@pytest.mark.parametrize("kind", FAILED)
def test_a_failed_answer_has_the_same_headers_from_both_faces(
    kind: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    # Two servers, so that nothing that one face learns decides for the other.
    with ScriptedProvider() as other:
        short = "[settings]\nwait_budget = 0\nprobe_delays = [0]\n"
        plane = gateway(config=planted("mine", provider) + planted("other", other) + short)
        plane.holdfast.session("work", "mine/scripted-1")
        plane.holdfast.session("others", "other/scripted-1")
        for server in (provider, other):
            server.follow(FAILED[kind])
        for route in ROUTES.values():
            library = sent_by_library(plane, route, {"model": "scripted-1", "messages": []})
            body = {"model": "scripted-1", "messages": []}
            code, headers, _ = plane.post(route, body, holdfast_session="others")
            assert library.status_code == code
            assert_alike(library.headers, headers)
            assert library.headers["content-type"] == "application/json"
            if library.headers["holdfast-attempts"] != "0":
                assert library.headers["x-request-id"] in ("req_theirs", "for ?cdef only")
                assert library.headers["x-vendor-cost"] == "0.01"
            assert not {"x-vendor-note", "set-cookie", "location"} & {*library.headers}
            assert KEY not in str(library.headers)


@pytest.mark.parametrize("kind", FAILED)
def test_a_failed_answer_about_a_file_has_the_providers_headers(
    kind: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=planted("mine", provider))
    plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(FAILED[kind])
    headers = sent_by_library(plane, "files/file-1", None).headers
    assert headers["x-request-id"] in ("req_theirs", "for ?cdef only")
    assert headers["x-vendor-cost"] == "0.01"
    assert not {"x-vendor-note", "set-cookie", "location"} & {*headers}


ECHOES = [KEY, f"Bearer {KEY}", f"https://x.example/?key={KEY}&a=b"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("echo", ECHOES)
def test_no_header_of_a_good_answer_repeats_the_key_that_was_sent(
    echo: str, streamed: bool, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=planted("mine", provider))
    plane.holdfast.session("work", "mine/scripted-1")
    headers = (("x-seen-by", echo), ("x-request-id", echo), ("x-trace-id", "kept"))
    provider.follow(ok(headers=headers))
    masked = echo.replace(KEY, "?cdef")
    expected = [("x-request-id", masked), ("x-seen-by", masked), ("x-trace-id", "kept")]
    for route in ROUTES.values():
        body = {**BODY, "stream": streamed}
        library = sent_by_library(plane, route, body)
        code, headers_of_gateway, _ = plane.post(route, body, holdfast_session="work")
        assert (library.status_code, code) == (200, 200)
        assert_alike(library.headers, headers_of_gateway)
        assert [pair for pair in compared(library.headers) if pair[0] in dict(headers)] == expected


@pytest.mark.parametrize("echo", ECHOES)
def test_no_header_of_a_file_repeats_the_key_that_was_sent(
    echo: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=planted("mine", provider))
    plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(status(200, b"%PDF", {"content-type": "application/pdf", "x-seen-by": echo}))
    answer = sent_by_library(plane, "files/file-1/content", None)
    assert (answer.content, answer.headers["x-seen-by"]) == (b"%PDF", echo.replace(KEY, "?cdef"))


def test_what_is_no_request_to_a_model_fails_as_its_provider_said(
    plane: Running, provider: ScriptedProvider
) -> None:
    theirs = {"error": {"message": "No such file", "type": "invalid_request_error"}}
    provider.follow(status(404, theirs))
    session = plane.holdfast.session("work", "mine/scripted-1")
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        answer = client.get("/files/file-1")
    assert (answer.status_code, answer.json()) == (404, theirs)
    assert answer.headers["holdfast-fault"]


def test_a_body_without_a_model_is_refused_alike_by_both_faces(plane: Running) -> None:
    plane.holdfast.session("work", "mine/scripted-1")
    for dialect, route in ROUTES.items():
        with httpx2.Client(
            transport=plane.holdfast.session("work").transport(), base_url="http://holdfast.invalid/v1"
        ) as client:
            library = client.post(f"/{route}", content=b"no object")
        ours = seen(*plane.post(route, b"no object", holdfast_session="work"))
        assert seen(library.status_code, library.headers, library.content) == ours
        assert (ours.status, ours.name) == (400, "unreadable_body"), dialect


@pytest.mark.parametrize(
    "name", ["UnknownModel", "ConnectionLost", "NotReady", "AmbiguousModel", "HoldfastError"]
)
def test_the_sdks_raise_the_same_exception_from_both_faces(name: str, plane: Running, fails: Fails) -> None:
    kind = next(kind for kind in EVERY_ERROR if kind.__name__ == name)
    session = plane.holdfast.session("work", "mine/scripted-1")
    fails(made(kind))
    direct: dict[str, Any] = {"verify": False, "trust_env": False}
    root = f"{plane.root}/s/work"
    clients = [
        openai.OpenAI(**session.for_openai()),
        openai.OpenAI(
            base_url=f"{root}/v1", api_key=plane.token, http_client=openai.DefaultHttpxClient(**direct)
        ),
        anthropic.Anthropic(**session.for_anthropic()),
        anthropic.Anthropic(
            base_url=root, api_key=plane.token, http_client=anthropic.DefaultHttpxClient(**direct)
        ),
    ]
    raised: list[tuple[Any, ...]] = []
    for client in clients:
        turn: dict[str, Any] = {"model": "scripted-1", "messages": [{"role": "user", "content": "hello"}]}
        ask: Any = (
            client.messages.create
            if isinstance(client, anthropic.Anthropic)
            else client.chat.completions.create
        )
        with client, pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
            ask(max_tokens=9, **turn)
        raised.append((type(caught.value), caught.value.status_code, str(caught.value), caught.value.body))
    assert raised[0] == raised[1]
    assert raised[2] == raised[3]
    assert raised[0][1] == raised[2][1] == DECIDED[name][0]


@pytest.mark.parametrize("theirs", [{}, {"x-request-id": "req_theirs", "request-id": "req_theirs"}])
def test_the_sdks_find_an_id_of_every_request_that_failed(
    theirs: dict[str, str], plane: Running, provider: ScriptedProvider
) -> None:
    provider.follow(status(400, {"error": {"message": "no", "code": "invalid_value"}}, headers=theirs))
    session = plane.holdfast.session("work", "mine/scripted-1")
    direct: dict[str, Any] = {"verify": False, "trust_env": False}
    root = f"{plane.root}/s/work"
    options = {"api_key": plane.token, "max_retries": 0}
    clients = [
        openai.OpenAI(**session.for_openai()),
        openai.OpenAI(base_url=f"{root}/v1", http_client=openai.DefaultHttpxClient(**direct), **options),
        anthropic.Anthropic(**session.for_anthropic()),
        anthropic.Anthropic(base_url=root, http_client=anthropic.DefaultHttpxClient(**direct), **options),
    ]
    turn: dict[str, Any] = {"model": "scripted-1", "messages": [{"role": "user", "content": "hello"}]}
    for client in clients:
        ask: Any = client.chat.completions if isinstance(client, openai.OpenAI) else client.messages
        with client, pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
            ask.create(max_tokens=9, **turn)
        ours = caught.value.response.headers["holdfast-request-id"]
        shown = caught.value.request_id
        if isinstance(client, anthropic.Anthropic):
            assert shown == theirs.get("request-id", ours), "the provider sends none unless it is told to"
        else:
            assert shown == caught.value.response.headers["x-request-id"]


@pytest.mark.parametrize("dialect", Dialect)
def test_an_error_of_ours_has_the_id_where_the_sdk_looks_for_it(dialect: Dialect) -> None:
    name = "request-id" if dialect is Dialect.ANTHROPIC_MESSAGES else "x-request-id"
    error = refusal("internal")
    assert name not in error.headers_for(dialect), "it has no id"
    known = replace(error, request_id="abc")
    assert known.headers_for(dialect)[name] == "abc"
    assert name not in known.headers_for(dialect, [name.title().encode()]), "the provider's own is there"


# ------------------------------------------------------------------ the table itself
EVERY_KIND: list[ErrorKind] = [
    *dict.fromkeys([*FAULTS.values(), *ERRORS.values(), *(refusal.kind for refusal in REFUSALS.values())])
]


def test_no_two_rows_of_the_table_have_the_same_class() -> None:
    names = [kind.name for kind in EVERY_KIND]
    assert sorted(names) == sorted(set(names))
    assert set(UNREADABLE.values()) <= REFUSALS.keys()


@rows("kind", EVERY_KIND, ids=lambda kind: kind.name)
def test_every_type_is_one_that_the_vendor_knows(kind: ErrorKind) -> None:
    assert kind.anthropic_type in ANTHROPIC_TYPES
    assert 400 <= kind.status < 600
    assert 400 <= kind.anthropic_status < 600


@rows("kind", [*ERRORS.values()], ids=lambda kind: kind.name)
def test_no_error_of_ours_looks_like_a_bad_key(kind: ErrorKind) -> None:
    assert not {kind.status, kind.anthropic_status} & {401, 403}


@rows("name", REFUSALS)
def test_every_refusal_says_what_to_do_next(name: str) -> None:
    names = "what after session request path routes allow allowed requested connection why coding advice"
    names += " method member label"
    words = dict.fromkeys(names.split(), "W")
    error = refusal(name, **words)
    assert "{" not in error.message
    assert error.details["next_step"]
    assert error.message.endswith(error.details["next_step"])
    assert error.headers["x-should-retry"] == "false"


def test_an_error_without_a_next_step_of_its_own_is_reported_with_one() -> None:
    error = from_error(HoldfastError("what is wrong"))
    assert error.details["next_step"] == "holdfast doctor"
    assert error.message == "what is wrong\n  run: holdfast doctor"


def test_the_time_of_the_next_attempt_is_in_a_header_that_no_sdk_waits_for() -> None:
    headers = from_error(NotReady("busy", reason="busy", retry_at=1_772_460_000.5)).headers
    assert (headers["holdfast-reset-at"], headers["x-should-retry"]) == ("1772460001", "false")
    assert "holdfast-reset-at" not in from_error(NotReady("busy", reason="busy")).headers


# ------------------------------------------------------------------ events of a stream
@rows("kind", EVERY_KIND, ids=lambda kind: kind.name)
@rows("dialect", list(Dialect))
def test_an_event_holds_the_error_of_the_body(kind: ErrorKind, dialect: Dialect) -> None:
    error = unreadable(400, "x")
    error = type(error)(kind, "what is wrong", {"next_step": "holdfast doctor"}, request_id="hf_1")
    body, event = json.loads(error.body(dialect)), error.event(dialect)
    name, _, data = event.rpartition(b"data: ")
    payload = json.loads(data)
    assert data.endswith(b"\n\n")
    assert payload["error"] == body["error"]
    assert name == (b"" if dialect is Dialect.OPENAI_CHAT else b"event: error\n")
    if dialect is Dialect.OPENAI_RESPONSES:
        assert (payload["type"], payload["code"], payload["message"]) == ("error", kind.code, "what is wrong")
    else:
        assert payload == body


@pytest.mark.parametrize("proxy", ["http://bob:12#34@127.0.0.1:9", "http://proxy.example:12#34"])
def test_a_proxy_that_cannot_be_read_is_named_by_both_faces(
    proxy: str, gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    plane = gateway(
        config='[provider.far]\nurl = "https://far.example/v1"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
        "[settings]\nwait_budget = 0\n"
    )
    plane.holdfast.session("work", "far/m")
    with pytest.raises(httpx2.ProxyError) as broken:
        sent_by_library(plane, "chat/completions", {"model": "m", "messages": []})
    _, _, answer = plane.post("chat/completions", {"model": "m", "messages": []}, holdfast_session="work")
    for text in (str(broken.value), json.loads(answer)["error"]["message"]):
        assert "HTTPS_PROXY is not the URL of a proxy" in text
        assert "12#34" not in text
