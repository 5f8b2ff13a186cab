"""The one rule of all importers: a key meets a preset's host only if nothing gives it another URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from holdfast.importers.addresses import OfPreset, OwnUrl, Unresolved, Where
from holdfast.importers.base import ResultBuilder
from holdfast.importers.entries import ImportResult
from holdfast.importers.keys import FoundKey, KeyReader, NoKey, Syntax
from tables import rows

CORP = "https://llm.corp.example/v1"
VALUE = "sk-7c1d0b4e9f2a5836"


def builder(environ: Mapping[str, str] | None = None, *, honours: bool = True) -> ResultBuilder:
    return ResultBuilder("litellm", KeyReader(environ or {}), honours_base_urls=honours)


def key(name: str) -> FoundKey:
    made = KeyReader({}).variable(name)
    assert isinstance(made, FoundKey)
    return made


def tables(result: ImportResult) -> dict[str, dict[str, object]]:
    return {str(entry.name): entry.table(copied=True) for entry in result.entries}


def told(result: ImportResult) -> str:
    return "\n".join(f"{what}: {why}" for what, why in result.left_out)


def test_a_key_that_was_only_found_stays_where_the_files_use_it() -> None:
    made = builder()
    made.add("corp", OwnUrl(CORP), [key("OPENAI_API_KEY")], location="here")
    made.add("openai", OfPreset("openai"), [key("OPENAI_API_KEY").by_name()])
    assert tables(made.result()) == {"corp": {"url": CORP, "keys": ["env:OPENAI_API_KEY"]}}
    assert f"OPENAI_API_KEY for 'openai': it is used at {CORP} (here)" in told(made.result())


def test_a_key_is_known_again_by_its_value() -> None:
    made = builder({"OPENAI_API_KEY": VALUE})
    made.add("corp", OwnUrl(CORP), [made.reader.literal(VALUE, at="config.yaml")])
    made.add("openai", OfPreset("openai"), [made.reader.found("OPENAI_API_KEY")])
    assert list(tables(made.result())) == ["corp"]


def test_a_key_that_the_files_pair_with_a_preset_goes_there_too() -> None:
    made = builder()
    made.add("corp", OwnUrl(CORP), [key("SHARED_KEY")])
    made.add("openai", OfPreset("openai"), [key("SHARED_KEY")])
    assert tables(made.result())["openai"] == {"preset": "openai", "keys": ["env:SHARED_KEY"]}


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda made: made.add("x", Unresolved("X is not set here"), [key("GROQ_API_KEY")]),
        lambda made: made.refuse("x", "its API is none of ours", [key("GROQ_API_KEY")], url=CORP),
        lambda made: made.add("x", OfPreset("groq"), [replace(key("GROQ_API_KEY"), url=CORP)]),
    ],
    ids=["its URL is not known", "its provider is refused", "the key has its own URL"],
)
def test_a_key_of_what_is_left_out_is_given_to_no_preset(elsewhere: object) -> None:
    made = builder()
    elsewhere(made)  # type: ignore[operator]
    made.add("groq", OfPreset("groq"), [key("GROQ_API_KEY").by_name()])
    assert "groq" not in tables(made.result())


@pytest.mark.parametrize(
    ("variable", "preset", "url"),
    [
        ("OPENAI_BASE_URL", "openai", CORP),
        ("OPENAI_API_BASE", "openai", CORP),
        ("ANTHROPIC_BASE_URL", "anthropic", "https://relay.example"),
        ("GROQ_BASE_URL", "groq", CORP),
    ],
)
def test_a_variable_that_gives_a_base_url_moves_its_family(variable: str, preset: str, url: str) -> None:
    name = variable.partition("_")[0] + "_API_KEY"
    made = builder({variable: url})
    made.add(preset, OfPreset(preset), [key(name).by_name(), key(f"{name}_2")])
    table = tables(made.result())[preset]
    assert (table["url"], table["keys"]) == (url, [f"env:{name}", f"env:{name}_2"])
    if preset == "anthropic":
        assert (table["dialect"], table["auth"]) == ("anthropic-messages", "x-api-key")

    unmoved = builder({variable: url}, honours=False)
    unmoved.add(preset, OfPreset(preset), [key(name)])
    assert tables(unmoved.result()) == {}
    assert f"{variable} gives {name} another URL" in told(unmoved.result())


def test_a_base_url_that_is_the_presets_own_changes_nothing() -> None:
    made = builder({"OPENAI_BASE_URL": "https://api.openai.com/v1/"})
    made.add("openai", OfPreset("openai"), [key("OPENAI_API_KEY")])
    assert tables(made.result()) == {"openai": {"preset": "openai", "keys": ["env:OPENAI_API_KEY"]}}


def test_variables_that_disagree_give_the_key_to_nobody() -> None:
    made = builder({"OPENAI_BASE_URL": CORP, "OPENAI_API_BASE": "https://other.example/v1"})
    made.add("openai", OfPreset("openai"), [key("OPENAI_API_KEY")])
    assert tables(made.result()) == {}
    assert "OPENAI_BASE_URL and OPENAI_API_BASE give it different ones" in told(made.result())


def test_a_key_with_a_url_of_its_own_keeps_it_beside_the_others() -> None:
    made = builder()
    keys = [
        key("A_KEY"),
        replace(key("B_KEY"), url="https://eu.corp.example/v1"),
        replace(key("C_KEY"), url=CORP),
    ]
    made.add("corp", OwnUrl(CORP), keys)
    made.add("openrouter", OfPreset("openrouter"), [replace(key("D_KEY"), url=CORP)])
    made.add("groq", OfPreset("groq"), [key("E_KEY"), replace(key("F_KEY"), url=CORP)])
    assert {name: table["keys"] for name, table in tables(made.result()).items()} == {
        "corp": ["env:A_KEY", {"from": "env:B_KEY", "url": "https://eu.corp.example/v1"}, "env:C_KEY"],
        "openrouter": ["env:D_KEY"],
        "groq": ["env:E_KEY", {"from": "env:F_KEY", "endpoints": {"openai-chat": CORP}}],
    }
    assert tables(made.result())["openrouter"]["url"] == CORP


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        (OwnUrl("http://127.0.0.1:4141/v1"), []),
        (OwnUrl(CORP), [FoundKey("cmd:python -P -m holdfast.gateway.show_token http://x")]),
        (OwnUrl(CORP), [FoundKey("file:/state/connected/pi.token")]),
        (OwnUrl(CORP), [FoundKey("env:HOLDFAST_TOKEN")]),
    ],
)
def test_our_own_gateway_is_never_imported(where: Where, keys: list[FoundKey]) -> None:
    made = builder()
    made.add("holdfast", where, keys)
    assert tables(made.result()) == {}
    assert "it is the gateway of Holdfast itself" in told(made.result())


def test_that_a_provider_has_no_key_is_said() -> None:
    made = builder()
    made.add("corp", OwnUrl(CORP), [NoKey()])
    made.add("here", OwnUrl("http://127.0.0.1:9/v1"), [made.reader.literal("ollama", at="x")])
    assert "the key of 'corp': no key stands there: holdfast key add corp --from" in told(made.result())
    assert "'here'" not in told(made.result())
    assert tables(made.result())["here"]["auth"] == "none"


@rows(
    "text",
    [
        *(
            "<your groq key>",
            "your_anthropic_api_key_here",
            "sk-or-v1-xxxx",
            "YOUR-API-KEY",
            "sk-...",
            "$(pass x)",
        ),
        *("a-key-1234,b-key-5678", "first1234;second1234", "line1234\nline5678", "${UNSET}", "{{ env.X }}"),
        *("$(pass x)", "sk-ant-xxxxxxxxxxxxxxxx", "[API_KEY]", "****"),
        *(
            "changeme",
            "sk-ant-xxxxxxxxxxxxxxxx",
            "replace_me_with_your_key",
            "[API_KEY]",
            "no key needed",
            "****",
        ),
    ],
)
def test_what_is_visibly_no_key_is_none(text: str) -> None:
    assert isinstance(KeyReader({}).literal(text, at="x"), NoKey)
    assert isinstance(KeyReader({"X_KEY": text}).found("X_KEY"), NoKey)


@pytest.mark.parametrize(
    "text", [VALUE, "sk-1234", "FAKE-key-61-0123456789abcdef", "gsk_AbC123dEf456", "a1b2c3d4e5f6"]
)
def test_what_may_be_a_key_is_one(text: str) -> None:
    assert isinstance(KeyReader({}).literal(text, at="x"), FoundKey)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "sk-FAKE0123456789abcdef",
            "sk_live_51HFAKE0123456789",
            "FAKEkey0123456789abcdef",
            "AKIAFAKE012345678901",
        ),
        *("AKIAFAKE012345678901", "gsk_AbC123dEf456GhI789", "0123456789abcdef0123456789abcdef", "two words"),
    ],
)
def test_a_key_in_the_place_of_a_variables_name_is_shown_nowhere(name: str) -> None:
    made = builder()
    made.add("corp", OwnUrl(CORP), [made.reader.variable(name)])
    assert "the name of a variable" in told(made.result())
    assert name not in repr(made.result())
    composed = KeyReader({}).text(f"Bearer ${{{name}}}", Syntax.BRACES, at="x")
    assert name not in repr(composed)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "corp_key", "ARK2_KEY", "MyCorpKey", "K1", "H100_TOKEN"])
def test_the_name_of_a_variable_is_a_reference(name: str) -> None:
    assert key(name).ref == f"env:{name}"


def test_references_are_resolved_as_the_program_does_it() -> None:
    reader = KeyReader({"X": "v-0123456789"})
    composed = reader.text("sk-{env:X}", Syntax.ENV_BRACES, at="opencode.json")
    assert isinstance(composed, FoundKey)
    assert (composed.ref, composed.secret is not None) == ("", True)
    for syntax, text in ((Syntax.BRACES, "${X}"), (Syntax.DOLLAR, "$X"), (Syntax.OS_ENVIRON, "os.environ/X")):
        whole = reader.text(text, syntax, at="x")
        assert isinstance(whole, FoundKey)
        assert whole.ref == "env:X"
    missing = reader.text("sk-${Y}", Syntax.BRACES, at="x")
    assert isinstance(missing, NoKey)
    assert "Y is not set here" in missing.why
