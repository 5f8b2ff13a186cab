"""From a pin to its route, from a request to its pin, and from rows of older software back to a pin: exactly,
or a refusal."""

from __future__ import annotations

import pytest

from holdfast.core.config import Config
from holdfast.core.errors import ConnectionLost, UnknownModel
from holdfast.core.identity import Auth, Dialect, Endpoint, Pin, Provider, ProviderName
from holdfast.core.routes import FallbackChain
from holdfast.core.routing import (
    fallbacks_for,
    pin_for_first,
    pin_for_request,
    provider_of,
    route_for,
)
from holdfast.core.session import MOST_FORMER, Session
from holdfast.importers.legacy_rows import LegacyRow, recover_pin
from world import CHAT, key, provider

URL = "https://token-plan-cn.example/v1"
MESSAGES = Dialect.ANTHROPIC_MESSAGES
A = provider("team-a", "a", url=URL, models=("m1", "m2"))
B = provider("team-b", "b", url=URL, models=("m1", "m3"))
OTHER = provider("other", "o")
SPEAKER = Provider(
    ProviderName("speaker"),
    (Endpoint("https://sp.example/v1"), Endpoint("https://sp.example", MESSAGES)),
    (key("speaker", "s"),),
    ("m9",),
)
TWIN = Provider(
    ProviderName("twin"), (Endpoint("https://sp.example", MESSAGES),), (key("twin", "t"),), ("m9",)
)


def config(*providers: Provider, fallbacks: tuple[FallbackChain, ...] = ()) -> Config:
    return Config(
        providers={p.name: p for p in providers}, fallbacks={fallback.pin: fallback for fallback in fallbacks}
    )


ALL = config(A, B, OTHER, SPEAKER, TWIN)


def on(pin: str) -> Session:
    return Session("s", Pin.parse(pin))


def test_a_pin_leads_to_its_own_entry_even_if_another_shares_the_url() -> None:
    assert route_for(ALL, Pin.parse("team-b/m1"), CHAT).connection.key == B.keys[0]


def test_a_provider_that_is_gone_is_refused_with_its_neighbours() -> None:
    with pytest.raises(
        ConnectionLost,
        match=r"no provider 'team-c'[\s\S]*could be: team-[\s\S]*run: holdfast provider add team-c",
    ) as lost:
        route_for(ALL, Pin.parse("team-c/m1"), CHAT)
    assert set(lost.value.candidates) == {"team-a/m1", "team-b/m1"}


def test_a_chosen_key_that_is_gone_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConnectionLost, match="no key 'old'") as lost:
        route_for(ALL, Pin.parse("team-a/m1"), CHAT, "old")
    assert lost.value.candidates == ("a",)


KEYLESS = Provider(ProviderName("keyless"), (Endpoint("https://k.example"),))
OPEN = Provider(ProviderName("open"), (Endpoint("http://127.0.0.1:9", auth=Auth.NONE),))
PAIR = provider("pair", "a", "b")


@pytest.mark.parametrize(
    ("pin", "run"),
    [
        ("team-a/m1", "holdfast session pin SESSION team-a/m1 --key a"),
        ("pair/m1", "holdfast session pin SESSION pair/m1 --key LABEL"),
        (
            "keyless/m",
            "holdfast key add keyless --from env:VARIABLE   (then: holdfast session pin SESSION keyless/m)",
        ),
        ("open/m", "holdfast session pin SESSION open/m"),
    ],
)
def test_the_command_for_a_chosen_key_that_is_gone_is_one_that_works_there(pin: str, run: str) -> None:
    with pytest.raises(ConnectionLost) as lost:
        provider_of(config(A, PAIR, KEYLESS, OPEN), Pin.parse(pin), "old")
    assert lost.value.next_step == run


@pytest.mark.parametrize(
    ("label", "is_said"), [("k2", True), ("k9999", True), ("k0", False), ("old", False), ("k2a", False)]
)
def test_a_chosen_key_that_may_be_a_position_is_refused_as_one(label: str, is_said: bool) -> None:
    with pytest.raises(ConnectionLost) as lost:
        provider_of(ALL, Pin.parse("team-a/m1"), label)
    assert ("are no longer called by their position" in lost.value.what) is is_said


def test_a_fallback_that_cannot_answer_is_left_out_and_named() -> None:
    fallback_chain = FallbackChain(
        Pin.parse("team-a/m1"),
        tuple(Pin.parse(pin) for pin in ("gone/m", "twin/m9", "keyless/m", "other/m5")),
    )
    listed = config(A, OTHER, TWIN, KEYLESS, fallbacks=(fallback_chain,))
    fallbacks, left_out = fallbacks_for(listed, fallback_chain.pin, CHAT)
    assert [str(fallback.connection.pin) for fallback in fallbacks] == ["other/m5"]
    assert [reason.split(" ")[:5] for reason in left_out] == [
        ["fallback", pin, "was", "not", "asked:"] for pin in ("gone/m", "twin/m9", "keyless/m")
    ]
    assert fallbacks_for(ALL, fallback_chain.pin, CHAT) == ((), ())


@pytest.mark.parametrize(
    ("asked", "pin"),
    [
        (None, "team-a/m1"),
        ("", "team-a/m1"),
        ("m1", "team-a/m1"),
        ("m2", "team-a/m2"),
        ("m3", "team-b/m3"),
        ("other/x/y", "other/x/y"),
        ("team-b/m1", "team-b/m1"),
    ],
)
def test_a_requests_model_is_the_sessions_or_exactly_one_other(asked: str | None, pin: str) -> None:
    assert str(pin_for_request(ALL, on("team-a/m1"), asked)) == pin


@pytest.mark.parametrize(
    ("choices", "asked", "pin"),
    [
        # The names of the choice before: the model alone, and the whole pin.
        (["team-b/m3", "other/x"], "m3", "other/x"),
        (["team-b/m3", "other/x"], "team-b/m3", "other/x"),
        # ... also where the new provider lists such a model itself, and within one provider.
        (["team-b/m1", "team-a/m2"], "m1", "team-a/m2"),
        (["team-a/m1", "team-a/m2"], "m1", "team-a/m2"),
        (["team-a/m1", "team-a/m2"], "team-a/m1", "team-a/m2"),
        # The names of all choices before, in or out of the configuration.
        (["team-b/m3", "gone/n", "other/x"], "m3", "other/x"),
        (["team-b/m3", "gone/n", "other/x"], "gone/n", "other/x"),
        (["router/x/y", "other/z"], "x/y", "other/z"),
        # After the way back the names of between mean the session, too ...
        (["team-a/m1", "team-b/m3", "team-a/m1"], "m3", "team-a/m1"),
        (["team-a/m1", "team-b/m3", "team-a/m1"], "team-b/m3", "team-a/m1"),
        (["team-a/m1", "team-b/m3", "team-a/m1"], "m1", "team-a/m1"),
        # ... but another model of the same provider is asked for beside it, on purpose.
        (["team-a/m1", "team-a/m2", "team-a/m1"], "m2", "team-a/m2"),
        # What was never its choice stays what it says.
        (["team-b/m3", "other/x"], "team-b/m1", "team-b/m1"),
        (["team-b/m3", "other/x"], "team-a/m3", "team-a/m3"),
        (["team-b/m3", "other/x"], "m2", "team-a/m2"),
        (["team-b/m3", "other/x"], None, "other/x"),
    ],
)
def test_the_name_of_a_former_choice_means_the_session(
    choices: list[str], asked: str | None, pin: str
) -> None:
    session = on(choices[0])
    for choice in choices[1:]:
        session = session.choose(Pin.parse(choice), 0.0)
    assert str(pin_for_request(ALL, session, asked)) == pin


def test_a_session_remembers_a_few_former_choices_each_once() -> None:
    session = on("p/m0")
    for number in range(3 * MOST_FORMER):
        session = session.choose(Pin.parse(f"p{number}/m"), 0.0)
    again = session.choose(session.pin, 0.0, "team").choose(session.pin, 0.0)
    last = 3 * MOST_FORMER - 2
    assert [str(pin) for pin in session.former] == [f"p{last - n}/m" for n in range(MOST_FORMER)]
    assert again.former == session.former
    assert again.following_names() == [str(pin) for pin in again.former], "'m' is the present model"


@pytest.mark.parametrize(
    ("asked", "pin"),
    [("team-a/m1", "team-a/m1"), ("other/x/y", "other/x/y"), ("speaker/not-listed", "speaker/not-listed")],
)
def test_an_explicit_pin_is_served_although_the_sessions_provider_is_gone(asked: str, pin: str) -> None:
    assert str(pin_for_request(ALL, on("gone/m"), asked)) == pin


@pytest.mark.parametrize(
    ("asked", "candidates"),
    [
        ("m", ()),
        ("m2", ("team-a/m2",)),
        ("m1", ("team-a/m1", "team-b/m1")),
        ("nothing", ()),
        ("none/m", ()),
    ],
)
def test_a_bare_name_is_not_served_where_the_sessions_provider_is_gone(
    asked: str, candidates: tuple[str, ...]
) -> None:
    with pytest.raises(ConnectionLost, match="no provider 'gone'") as lost:
        route_for(ALL, pin_for_request(ALL, on("gone/m"), asked), CHAT)
    assert lost.value.candidates == candidates


def test_a_former_choice_is_not_served_instead_of_a_lost_one() -> None:
    session = on("team-a/m1").choose(Pin.parse("gone/m"), 0.0)
    assert str(pin_for_request(ALL, session, "team-a/m1")) == "gone/m"


@pytest.mark.parametrize(
    ("asked", "candidates"),
    [
        ("team-c/m1", {"team-a/m1", "team-b/m1"}),
        ("otter/x/y", {"other/x/y"}),
        ("Team A/m1", {"team-a/m1"}),
        ("TEAM-B/m1", {"team-b/m1"}),
        ("custom:team-b/m1", {"team-b/m1"}),
        ("???/m1", set()),
    ],
)
def test_a_pin_of_an_unknown_provider_is_refused_with_near_names(asked: str, candidates: set[str]) -> None:
    with pytest.raises(UnknownModel, match="no provider lists a model") as lost:
        pin_for_request(ALL, on("team-a/m1"), asked)
    assert candidates <= {*lost.value.candidates}
    assert ("none is called" in lost.value.what) is bool(candidates)


def test_the_name_of_a_provider_alone_is_refused_with_its_pins() -> None:
    for asked in ("team-b", "Team B", "custom:team-b"):
        with pytest.raises(UnknownModel, match="it is a provider, and a pin is written team-b/MODEL") as lost:
            pin_for_first(ALL, asked)
        assert lost.value.candidates[0].startswith("team-b/")


def test_a_provider_without_a_declared_list_is_asked_itself() -> None:
    assert (
        str(pin_for_request(config(OTHER, A), on("other/m5"), "text-embedding-3")) == "other/text-embedding-3"
    )


def test_a_model_name_with_a_slash_belongs_to_the_provider_that_lists_it() -> None:
    router = provider("router", "r", models=("xiaomi/m1", "team-a/m1"))
    assert str(pin_for_request(config(router, A), on("router/xiaomi/m1"), "team-a/m1")) == "router/team-a/m1"


@pytest.mark.parametrize(
    ("asked", "message"), [("m9", "several providers list"), ("m0", "no provider lists a model 'm0'")]
)
def test_a_model_that_no_or_several_providers_list_is_never_guessed(asked: str, message: str) -> None:
    with pytest.raises(ConnectionLost, match=message) as lost:
        pin_for_request(ALL, on("team-a/m1"), asked)
    assert lost.value.candidates


@pytest.mark.parametrize(
    ("row", "pin"),
    [
        (LegacyRow("custom", URL, "m2"), "team-a/m2"),
        (LegacyRow("custom", URL + "/", "m3"), "team-b/m3"),
        (LegacyRow("custom", "https://TOKEN-plan-cn.example", "m3"), "team-b/m3"),
        (LegacyRow("custom:team-b", URL, "m1"), "team-b/m1"),
        (LegacyRow("custom:Team B", URL, "m1"), "team-b/m1"),
        (LegacyRow("team-a", "", "m1"), "team-a/m1"),
        (LegacyRow("custom", "https://sp.example/v1", "m9", CHAT), "speaker/m9"),
        (LegacyRow("auto", "https://other.example/v1", "anything"), "other/anything"),
    ],
)
def test_a_lossy_row_is_healed_when_exactly_one_entry_matches(row: LegacyRow, pin: str) -> None:
    assert str(recover_pin(ALL, row)) == pin


@pytest.mark.parametrize(
    ("row", "candidates"),
    [
        (LegacyRow("custom", URL, "m1"), {"team-a/m1", "team-b/m1"}),
        (LegacyRow("custom", "https://sp.example", "m9", MESSAGES), {"speaker/m9", "twin/m9"}),
        (LegacyRow("custom", "https://nowhere.example/v1", "m1"), set()),
        (LegacyRow("custom", "", "m1"), set()),
        (LegacyRow("custom", URL, "m7"), set()),
        (LegacyRow("custom", URL, ""), set()),
        (LegacyRow("team-a", "https://other.example/v1", "m1"), {"team-a/m1", "other/m1"}),
    ],
)
def test_a_row_that_no_or_several_entries_match_asks(row: LegacyRow, candidates: set[str]) -> None:
    with pytest.raises(ConnectionLost) as lost:
        recover_pin(ALL, row)
    assert set(lost.value.candidates) == candidates
    assert "holdfast session pin" in str(lost.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            LegacyRow("", "", "m1"),
            "the row names neither a provider nor a URL, so it cannot be told where it asked for model 'm1'",
        ),
        (
            LegacyRow("custom", "", "m1"),
            "the row names provider 'custom' and no URL, and no provider of yours is called that",
        ),
        (
            LegacyRow("", "https://gone.example/v1", "m1"),
            "no provider of yours serves model 'm1' at https://gone.example/v1",
        ),
        (
            LegacyRow("custom", URL, "m7"),
            f"no provider of yours serves model 'm7' at {URL} (the row calls it 'custom')",
        ),
        (LegacyRow("", URL, "m1"), f"it is not certain which provider of yours serves model 'm1' at {URL}"),
    ],
)
def test_a_row_without_a_provider_is_reported_in_a_sentence(row: LegacyRow, message: str) -> None:
    with pytest.raises(ConnectionLost) as lost:
        recover_pin(ALL, row)
    assert lost.value.what == message


def test_an_endpoint_of_a_keys_own_counts_as_one_of_its_provider() -> None:
    eu = provider("team-c", keys=(key("team-c", "eu", url="https://eu.example/v1"),))
    assert str(recover_pin(config(eu), LegacyRow("custom", "https://eu.example", "m1"))) == "team-c/m1"
