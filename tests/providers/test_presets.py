"""The table of known providers: every row can be used as it is, and every fact in it has one owner."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import holdfast
from holdfast.config.parse import parse
from holdfast.core.errors import IdentityError
from holdfast.core.identity import Auth, Dialect, ProviderName
from holdfast.providers import presets, profiles
from holdfast.values.addresses import is_loopback
from tables import rows

COLUMNS = {"name", "docs", "profile", "env", "auth", "endpoints", "key_prefixes"}
SOURCE = Path(holdfast.__file__).parent
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9_]*_(?:API_KEY|TOKEN|SECRET_KEY)\b")


def test_the_best_known_providers_are_there() -> None:
    assert len(presets.rows()) >= 45
    best_known = (
        "openai anthropic openrouter deepseek groq mistral together fireworks xai cohere gemini mimo zai "
        "moonshot minimax alibaba ollama lmstudio vllm"
    )
    assert set(best_known.split()) <= presets.rows().keys()


@rows("name", presets.rows())
def test_a_preset_is_a_provider_as_it_stands(name: str) -> None:
    row = presets.find(name)
    assert not row.keys() - COLUMNS
    assert {"name", "env", "endpoints"} <= row.keys()
    config = parse({"provider": {"mine": {"preset": name}}}, presets=presets.find, locate=str)
    made = config.providers[ProviderName("mine")]
    assert {endpoint.dialect: endpoint.url for endpoint in made.endpoints} == row["endpoints"]
    assert ProviderName(name) == name
    for endpoint in made.endpoints:
        assert endpoint.url.startswith("https://") or (
            is_loopback(endpoint.url) and endpoint.auth is Auth.NONE
        )


@pytest.mark.parametrize("dialect", Dialect)
def test_an_address_has_one_owner(dialect: Dialect) -> None:
    urls = Counter(
        row["endpoints"][dialect] for row in presets.rows().values() if dialect in row["endpoints"]
    )
    assert urls
    assert not [url for url, count in urls.items() if count > 1]


def test_the_addresses_of_two_presets_never_meet_in_any_dialect() -> None:
    owners: dict[str, str] = {}
    for name, row in presets.rows().items():
        for url in row["endpoints"].values():
            assert owners.setdefault(url, name) == name


def test_a_variable_has_one_owner() -> None:
    variables = Counter(variable for row in presets.rows().values() for variable in row["env"])
    assert not [variable for variable, count in variables.items() if count > 1]
    assert {
        presets.owner_of_variable(variable) for variable in ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY")
    } == {"together"}
    assert presets.owner_of_variable("NOBODY_S_API_KEY") is None


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("together", "TOGETHER_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
        ("mimo", "XIAOMI_API_KEY"),
        ("mimo-plan-cn", "XIAOMI_TOKEN_PLAN_CN_API_KEY"),
        ("moonshot", "MOONSHOT_API_KEY"),
        ("kimi-coding", "KIMI_API_KEY"),
        ("zai", "ZAI_API_KEY"),
        ("zhipu", "ZHIPU_API_KEY"),
        ("alibaba", "DASHSCOPE_API_KEY"),
    ],
)
def test_the_variable_that_others_share_belongs_to_one_preset_and_comes_first_there(
    name: str, variable: str
) -> None:
    assert presets.find(name)["env"][0] == variable


def test_the_vocabulary_of_errors_that_a_preset_names_is_there() -> None:
    named = {row["profile"] for row in presets.rows().values() if "profile" in row}
    assert named
    assert not {name for name in named if not (SOURCE / "providers" / "profiles" / f"{name}.toml").is_file()}


@rows("name", profiles.names())
def test_every_vocabulary_of_errors_can_be_read(name: str) -> None:
    assert profiles.load(name).codes


def test_who_needs_a_key_has_a_variable_for_it() -> None:
    assert {name for name, row in presets.rows().items() if not row["env"]} == {
        name for name, row in presets.rows().items() if row.get("auth") == "none"
    }


def test_plans_and_pay_as_you_go_of_one_maker_are_presets_of_their_own() -> None:
    hosts = {
        name: urlsplit(row["endpoints"]["openai-chat"])
        for name, row in presets.rows().items()
        if "openai-chat" in row["endpoints"]
    }
    families = (
        "mimo mimo-plan-cn mimo-plan-sgp mimo-plan-ams",
        "zai zai-coding",
        "alibaba alibaba-cn alibaba-coding",
        "moonshot moonshot-cn kimi-coding",
    )
    for family in map(str.split, families):
        assert len({(hosts[name].netloc, hosts[name].path) for name in family}) == len(family)


def test_an_unknown_name_is_reported_with_the_nearest() -> None:
    with pytest.raises(IdentityError, match="no preset is called 'openruter'") as caught:
        presets.find("openruter")
    assert caught.value.next_step == "did you mean 'openrouter'?"


OF_PROGRAMS = {("copilot.py", "GITHUB_TOKEN")}
"""Variables of providers that are a program's own as well: its plan keeps them from it."""


def test_no_code_names_the_variable_of_a_provider() -> None:
    known = {variable for row in presets.rows().values() for variable in row["env"]}
    unlisted = {
        (path.name, variable)
        for path in SOURCE.rglob("*.py")
        for variable in VARIABLE.findall(path.read_text("utf-8"))
        if variable in known
    }
    assert unlisted == OF_PROGRAMS


@rows(
    ("name", "hint"),
    [
        ("xiaomi", "did you mean 'mimo' or 'mimo-plan-cn' or 'mimo-plan-sgp' or 'mimo-plan-ams'?"),
        ("openai-codex", "did you mean 'openai'?"),
        ("azure", "holdfast provider presets   (lists them)"),
        ("opnerouter", "did you mean 'openrouter'?"),
    ],
)
def test_a_preset_that_does_not_exist_is_refused_with_those_that_may_be_meant(name: str, hint: str) -> None:
    with pytest.raises(IdentityError) as caught:
        presets.find(name)
    assert caught.value.next_step == hint


def test_the_first_variable_that_holds_something_is_a_presets_key() -> None:
    environ = {"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": "a", "OPENAI_API_KEY": "b", "HOME": "/"}
    assert presets.filled(environ) == {"openai": "OPENAI_API_KEY", "gemini": "GOOGLE_API_KEY"}
