"""The values that name a connection cannot be wrong: most of stories 0 and 1 is refused here, at birth."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import IdentityError, WrongDialect
from holdfast.core.identity import (
    KINDS,
    Auth,
    Connection,
    Dialect,
    Endpoint,
    Key,
    Pin,
    Provider,
    ProviderName,
)
from holdfast.core.routes import FallbackChain, Route
from holdfast.values.addresses import is_loopback
from holdfast.values.secret import redact, without_user
from world import CHAT, key, provider, route

MIMO = provider("mimo", "a", "b")
TWIN = provider("twin", "a", url="https://mimo.example/v1")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_is_never_a_name(name: str) -> None:
    with pytest.raises(IdentityError, match="kind"):
        ProviderName(name)


@pytest.mark.parametrize("name", ["", "Mimo", "a b", "-a", "a/b", "ü", "a:b", "a\n", "a" * 65])
def test_a_name_that_could_be_misread_is_refused(name: str) -> None:
    with pytest.raises(IdentityError):
        ProviderName(name)


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True).filter(lambda name: name not in KINDS)
models = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=40).filter(
    lambda m: m == m.strip() and m.isprintable()
)


@given(names, models)
def test_a_pin_comes_back_from_its_own_text(name: str, model: str) -> None:
    pin = Pin(ProviderName(name), model)
    assert Pin.parse(str(pin)) == pin


def test_a_pin_is_split_at_the_first_slash() -> None:
    assert Pin.parse("router/xiaomi/mimo:free") == Pin(ProviderName("router"), "xiaomi/mimo:free")


@pytest.mark.parametrize("text", ["mimo", "mimo/", "/m", "custom/m", "mimo/ m", "mimo/m\n", "Mimo/m"])
def test_what_names_no_provider_or_no_model_is_no_pin(text: str) -> None:
    with pytest.raises(IdentityError):
        Pin.parse(text)


@pytest.mark.parametrize(
    ("url", "normal", "origin"),
    [
        ("https://API.Example.com/v1/", "https://api.example.com/v1", "https://api.example.com"),
        ("https://a.example:443/v1", "https://a.example/v1", "https://a.example"),
        ("http://a.example:80", "http://a.example", "http://a.example"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1", "http://[::1]:8080"),
        ("http://192.168.1.7/v1", "http://192.168.1.7/v1", "http://192.168.1.7"),
    ],
)
def test_an_endpoint_is_written_in_one_way_only(url: str, normal: str, origin: str) -> None:
    endpoint = Endpoint(url)
    assert (endpoint.url, endpoint.origin, endpoint.host) == (normal, origin, origin.partition("://")[2])


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/v1",
        "a.example/v1",
        "https://",
        "https://u:p@a.example/v1",
        "https://a.example/v1?key=1",
        "https://a.example/v1#x",
        "https://a.example/v 1",
        "https://a.example:0/v1",
        "https://a.example:99999/v1",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://0.0.0.0/v1",
        "http://metadata.google.internal/v1",
        "http://224.0.0.1/v1",
        "https://[::1/v1",
    ],
)
def test_a_url_that_no_provider_can_have_is_refused(url: str) -> None:
    with pytest.raises(IdentityError):
        Endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2secret@a.example/v1",
        "https://user:hunter2secret@a.example:0/v1",
        "https://user:hunter2secret@[::1/v1",
        "https://user:hunter2secret/x@a.example/v1",
        "https://user:/hunter2secret@a.example/v1",
        "https://user:1234/hunter2secret@a.example/v1",
        "https://user:x?hunter2secret@a.example/v1",
        "https://user:x#hunter2secret@a.example/v1",
        "https://user:x@hunter2secret@a.example/v1",
        "https://user:x@hunter2secret/x@a.example/v1",
        "https://user: hunter2secret@a.example/v1",
        "https://user:hunter2secret",
        "https://user:hunter2secret/x",
        "HTTPS://user:hunter2secret/x@a.example/v1",
        "ftp://user:hunter2secret/x@a.example/v1",
        "user:hunter2secret/$@a.example/v1",
    ],
)
def test_credentials_in_a_url_are_not_repeated_in_the_message(url: str) -> None:
    with pytest.raises(IdentityError) as refused:
        Endpoint(url)
    assert "hunter2secret" not in str(refused.value)


def test_an_at_sign_behind_a_port_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(IdentityError, match=r"https://\*{4}@b has a user or password: .*%40"):
        Endpoint("https://host:8443/a@b")
    assert Endpoint("https://host:8443/a%40b").url == "https://host:8443/a%40b"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"<>'), max_size=20))
def test_a_password_in_a_url_is_masked_in_any_text(password: str) -> None:
    secret = f"{password}hunter2secret"
    assert "hunter2secret" not in redact(f"a call to https://user:{secret}@a.example/v1 failed")
    assert without_user(f"https://user:{secret}@a.example/v1") == "https://a.example/v1"


@pytest.mark.parametrize("url", ["https://a.example/@team/v1", "https://a.example/v1/x@y"])
def test_a_path_may_hold_an_at_sign(url: str) -> None:
    assert Endpoint(url).url == url
    assert without_user(url) == redact(url) == url


@pytest.mark.parametrize("header", [("x-a", "b\r\nc: d"), ("x-a", "b\x7f"), ("x-a", "b\x00"), ("x\na", "b")])
def test_a_header_that_breaks_a_line_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(IdentityError):
        Endpoint("https://a.example", headers=(header,))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.9", True),
        ("[::1]", True),
        ("a.example", False),
        ("10.0.0.1", False),
    ],
)
def test_an_endpoint_knows_whether_it_is_on_this_machine(host: str, local: bool) -> None:
    assert is_loopback(f"http://{host}/v1") is local


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("localhost:4141", True),
        ("[::1]:80", True),
        ("127.0.0.1", True),
        ("https://a.example/v1", False),
        ("//[broken", False),
        ("", False),
    ],
)
def test_a_place_without_a_scheme_is_recognised_too(address: str, local: bool) -> None:
    assert is_loopback(address) is local


def test_a_rotation_can_change_the_key_and_nothing_else() -> None:
    first = Connection(MIMO, CHAT, MIMO.keys[0], "m1")
    second = first.with_key(MIMO.keys[1])
    assert (second.provider, second.dialect, second.model, second.endpoint) == (
        first.provider,
        first.dialect,
        first.model,
        first.endpoint,
    )
    assert second.key == MIMO.keys[1]


def test_a_key_of_another_provider_never_enters_a_connection() -> None:
    connection = Connection(MIMO, CHAT, MIMO.keys[0], "m1")
    for build in (
        lambda: connection.with_key(TWIN.keys[0]),
        lambda: replace(connection, provider=TWIN),
        lambda: Route(connection, (TWIN.keys[0],)),
    ):
        with pytest.raises(IdentityError):
            build()


def test_the_endpoint_of_a_connection_cannot_be_set() -> None:
    connection = Connection(MIMO, CHAT, MIMO.keys[0], "m1")
    with pytest.raises((FrozenInstanceError, AttributeError)):
        connection.endpoint = Endpoint("https://other.example")  # type: ignore[misc]
    with pytest.raises((TypeError, ValueError)):
        replace(connection, endpoint=Endpoint("https://other.example"))


def test_a_key_has_an_endpoint_of_its_own_only_if_somebody_gave_it_one() -> None:
    own = key("mimo", "eu", url="https://eu.example/v1")
    mixed = provider("mimo", keys=(key("mimo", "a"), own))
    connections = route(mixed).connections
    assert [c.endpoint.url for c in connections] == ["https://mimo.example/v1", "https://eu.example/v1"]
    assert connections[1].with_key(mixed.keys[0]).endpoint.url == "https://mimo.example/v1"


def test_a_key_bound_to_another_dialect_is_not_in_the_route() -> None:
    bound = Key(
        ProviderName("mimo"),
        "b",
        "env:B",
        endpoints=(Endpoint("https://x.example", Dialect.ANTHROPIC_MESSAGES),),
    )
    both = (
        Endpoint("https://mimo.example/v1"),
        Endpoint("https://mimo.example/anthropic", Dialect.ANTHROPIC_MESSAGES),
    )
    owner = Provider(ProviderName("mimo"), both, (key("mimo", "a"), bound))
    assert [c.key.label for c in Route.build(owner, CHAT, "m").connections if c.key] == ["a"]
    assert [c.endpoint.url for c in Route.build(owner, Dialect.ANTHROPIC_MESSAGES, "m").connections] == [
        "https://mimo.example/anthropic",
        "https://x.example",
    ]
    with pytest.raises(IdentityError, match="has no openai-chat endpoint"):
        Connection(owner, CHAT, bound, "m")


def test_a_chosen_key_that_cannot_speak_the_dialect_is_refused_by_its_name() -> None:
    bound = Key(
        ProviderName("mimo"),
        "b",
        "env:B",
        endpoints=(Endpoint("https://x.example", Dialect.ANTHROPIC_MESSAGES),),
    )
    owner = provider("mimo", keys=(key("mimo", "a"), bound))
    with pytest.raises(
        WrongDialect,
        match=r"key 'b' of provider 'mimo' has no openai-chat endpoint \(it speaks anthropic-messages\)",
    ):
        Route.build(owner, CHAT, "m", "b")
    with pytest.raises(
        WrongDialect, match=r"^provider 'mimo' has no openai-responses endpoint \(it speaks openai-chat\)"
    ):
        Route.build(owner, Dialect.OPENAI_RESPONSES, "m", "a")


def test_a_dialect_that_only_a_key_speaks_is_one_of_its_providers() -> None:
    bound = Key(
        ProviderName("mimo"),
        "b",
        "env:B",
        endpoints=(Endpoint("https://x.example", Dialect.ANTHROPIC_MESSAGES),),
    )
    owner = provider("mimo", keys=(key("mimo", "a"), bound))
    assert owner.dialects == (CHAT, Dialect.ANTHROPIC_MESSAGES)
    spoken = Route.build(owner, Dialect.ANTHROPIC_MESSAGES, "m").connections
    assert [(connection.key, connection.endpoint.url) for connection in spoken] == [
        (bound, "https://x.example")
    ]


def test_a_route_on_one_chosen_key_has_no_spare() -> None:
    assert [c.key.label for c in Route.build(MIMO, CHAT, "m", "b").connections if c.key] == ["b"]
    with pytest.raises(IdentityError, match="no key 'z'"):
        Route.build(MIMO, CHAT, "m", "z")


def test_no_key_is_a_statement_of_the_endpoint_and_never_a_placeholder() -> None:
    open_one = provider("local")
    assert route(open_one).connection.key is None
    with pytest.raises(IdentityError, match="needs a key"):
        Route.build(Provider(ProviderName("mimo"), (Endpoint("https://mimo.example"),)), CHAT, "m")
    keyed = Provider(
        ProviderName("local"), (Endpoint("http://localhost", auth=Auth.NONE),), (key("local", "a"),)
    )
    with pytest.raises(IdentityError, match="takes no key"):
        Connection(keyed, CHAT, keyed.keys[0], "m")
    assert Route.build(keyed, CHAT, "m").connections[0].key is None


def test_a_dialect_that_the_provider_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(IdentityError, match=r"no anthropic-messages endpoint \(it speaks openai-chat\)"):
        Route.build(MIMO, Dialect.ANTHROPIC_MESSAGES, "m")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Provider(ProviderName("x"), ()), "no endpoint"),
        (
            lambda: Provider(
                ProviderName("x"), (Endpoint("https://a.example"), Endpoint("https://b.example"))
            ),
            "dialect 'openai-chat' twice",
        ),
        (lambda: provider("mimo", keys=(key("mimo", "a"), key("mimo", "a"))), "key label 'a' twice"),
        (lambda: provider("mimo", keys=(key("twin", "a"),)), "belongs to provider 'twin'"),
        (lambda: FallbackChain(Pin.parse("a/m"), (Pin.parse("a/m"),)), "or 'a/m' itself"),
        (lambda: FallbackChain(Pin.parse("a/m"), (Pin.parse("b/m"), Pin.parse("b/m"))), "twice"),
        (lambda: FallbackChain(Pin.parse("a/m"), ()), "one pin or more"),
        (lambda: FallbackChain(Pin.parse("a/m"), (Pin.parse("b/m"),), 0), "positive"),
    ],
)
def test_entries_that_contradict_themselves_are_refused(build: object, message: str) -> None:
    with pytest.raises(IdentityError, match=message):
        build()  # type: ignore[operator]


def test_values_tell_in_a_message_what_they_are() -> None:
    assert str(route(MIMO).connection) == "mimo/m1 key 'a' at mimo.example"
    assert str(route(provider("local")).connection) == "local/m1 at local.example"
    assert route(MIMO).connection.pin == Pin.parse("mimo/m1")
    assert ProviderName(MIMO.name) is MIMO.name


@pytest.mark.parametrize("model", ["\ud800", "a\x7f", "a\x85b", "a\u2028b"])
def test_a_model_that_no_store_and_no_header_can_write_is_no_pin(model: str) -> None:
    with pytest.raises(IdentityError):
        Pin(ProviderName("mimo"), model)


def test_a_url_that_cannot_be_sent_as_written_is_refused() -> None:
    with pytest.raises(IdentityError):
        Endpoint("https://bücher.example/v1")
