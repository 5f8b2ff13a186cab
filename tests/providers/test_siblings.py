"""The table of paths beside a known one finds what real providers have there, and never leaves the origin."""

from __future__ import annotations

from hypothesis import given, strategies

from holdfast.core.identity import Auth, Dialect, Endpoint
from holdfast.providers import presets
from holdfast.providers.siblings import siblings, usual_auth
from tables import rows

ELSEWHERE = {
    # Their hosts are known, and their other dialects have paths of their own.
    ("zai-coding", Dialect.ANTHROPIC_MESSAGES),
    ("zhipu-coding", Dialect.ANTHROPIC_MESSAGES),
    *((name, dialect) for name in ("opencode", "opencode-go") for dialect in Dialect),
}


@rows("name", presets.rows())
def test_the_other_dialects_of_each_preset_are_found_from_one_of_them(name: str) -> None:
    endpoints = [Endpoint(url, Dialect(dialect)) for dialect, url in presets.find(name)["endpoints"].items()]
    for known in endpoints:
        for other in endpoints:
            if other.dialect is not known.dialect and (name, known.dialect) not in ELSEWHERE:
                assert other.url in [each.url for each in siblings(known, other.dialect)]


@rows(
    ("url", "dialect", "wanted", "urls"),
    [
        (
            "https://h.example:8443/v1",
            Dialect.OPENAI_CHAT,
            Dialect.ANTHROPIC_MESSAGES,
            ["", "/anthropic", "/api/anthropic", "/apps/anthropic"],
        ),
        ("https://h.example:8443/v1", Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, ["/v1"]),
        (
            "https://h.example:8443/anthropic",
            Dialect.ANTHROPIC_MESSAGES,
            Dialect.OPENAI_CHAT,
            ["/anthropic/v1", "/v1", "", "/openai/v1", "/compatible-mode/v1"],
        ),
    ],
)
def test_the_likeliest_path_comes_first(url: str, dialect: Dialect, wanted: Dialect, urls: list[str]) -> None:
    beside = siblings(Endpoint(url, dialect), wanted)
    assert [each.url for each in beside] == [f"https://h.example:8443{path}" for path in urls]
    assert {each.dialect for each in beside} == {wanted}


PATHS = strategies.lists(
    strategies.sampled_from(
        ["v1", "api", "anthropic", "openai", "..", "paas", "v4", "coding", "x", "apps", "h.example"]
    ),
    max_size=5,
)


@given(PATHS, strategies.sampled_from(Dialect), strategies.sampled_from(Dialect))
def test_no_path_leads_to_another_origin(parts: list[str], known: Dialect, wanted: Dialect) -> None:
    headers = (("X-Team", "blue"),)
    endpoint = Endpoint("http://127.0.0.1:9/" + "/".join(parts), known, Auth.API_KEY, headers)
    beside = siblings(endpoint, wanted)
    assert 0 < len(beside) <= 6
    assert {(each.origin, each.auth, each.headers) for each in beside} == {
        ("http://127.0.0.1:9", Auth.API_KEY, headers)
    }


def test_the_usual_way_to_send_a_key_is_that_of_the_dialect() -> None:
    messages = Endpoint("https://h.example", Dialect.ANTHROPIC_MESSAGES)
    assert usual_auth(messages).auth is Auth.X_API_KEY
    assert usual_auth(Endpoint("https://h.example", auth=Auth.API_KEY)).auth is Auth.BEARER
    nothing = Endpoint("https://h.example", auth=Auth.NONE)
    assert usual_auth(nothing) == nothing
