"""One table says in which variable a maker's key is found. The tables of others disagree with it only where
we decided so.

tests/data/variables.json is a recorded copy of the tables inside Pi and models.dev. When a newer one is
recorded, each difference is decided here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.providers import presets
from tables import rows

RECORDED: dict[str, Any] = json.loads(
    Path(__file__).parents[1].joinpath("data", "variables.json").read_text("utf-8")
)
ROWS = [(source, theirs, ours, tuple(variables)) for source, theirs, ours, variables in RECORDED["rows"]]

OWN_HOST = "another host, which refuses the first one's keys: it owns a variable of its own"
ORDER = "the same variables in another order: the maker's own documentation names ours first"
DECIDED: dict[tuple[str, str], str] = {
    ("pi", "anthropic"): "the other two hold a subscription's token, which is no key",
    ("pi", "moonshotai-cn"): OWN_HOST,
    ("pi", "opencode-go"): OWN_HOST,
    ("pi", "zai"): "its coding plan; ZAI_API_KEY is that of pay-as-you-go, on another path",
    ("models.dev", "alibaba-cn"): OWN_HOST,
    ("models.dev", "gmicloud"): ORDER,
    ("models.dev", "google"): ORDER,
    ("models.dev", "lmstudio"): "a local server takes no key by default and owns no variable",
    ("models.dev", "minimax-cn"): OWN_HOST,
    ("models.dev", "moonshotai-cn"): OWN_HOST,
    ("models.dev", "opencode-go"): OWN_HOST,
    ("models.dev", "scaleway"): ORDER,
    ("models.dev", "stepfun-ai"): OWN_HOST,
    ("models.dev", "xiaomi-token-plan-ams"): OWN_HOST,
    ("models.dev", "xiaomi-token-plan-cn"): OWN_HOST,
    ("models.dev", "xiaomi-token-plan-sgp"): OWN_HOST,
    ("models.dev", "zai"): "Z.AI names ZAI_API_KEY; ZHIPU_API_KEY is BigModel's, another account",
    ("models.dev", "zai-coding-plan"): "Z.AI's coding plan is neither BigModel nor pay-as-you-go",
    ("models.dev", "zhipuai-coding-plan"): OWN_HOST,
}
NOT_OURS: dict[str, str] = {
    "amazon-bedrock": "signed requests",
    "ant-ling": "no documented address of its own",
    "azure": "the address contains a resource: the user writes it",
    "cloudflare-ai-gateway": "the address contains an account",
    "cloudflare-workers-ai": "the address contains an account",
    "github-copilot": "a token exchange, not a key",
    "google-vertex": "signed requests",
    "qwen-token-plan-individual": "the host and variable of qwen-plan",
    "qwen-token-plan-individual-cn": "the host and variable of qwen-plan-cn",
    "radius": "a sign-in, not a key",
    "typesafe": "classifiers, no chat",
}


def agrees(ours: str, variables: tuple[str, ...]) -> bool:
    """Whether they look first where we look first, and only at variables that we know."""
    own = presets.find(ours).get("env", [])
    return [*variables[:1]] == own[:1] and set(variables) <= set(own)


@rows(("source", "theirs", "ours", "variables"), [row for row in ROWS if row[2] is not None])
def test_each_maker_s_variable_is_ours_or_the_disagreement_is_decided(
    source: str, theirs: str, ours: str, variables: tuple[str, ...]
) -> None:
    assert agrees(ours, variables) is ((source, theirs) not in DECIDED), (
        f"{source} {theirs}: {variables}, ours: {presets.find(ours).get('env')}"
    )


def test_no_decision_is_left_over_from_an_older_table() -> None:
    assert DECIDED.keys() <= {(source, theirs) for source, theirs, ours, _ in ROWS if ours is not None}
    assert NOT_OURS.keys() == {theirs for _, theirs, ours, _ in ROWS if ours is None}


def test_a_variable_that_others_use_for_another_maker_stays_with_its_owner() -> None:
    for _, _, ours, variables in ROWS:
        for variable in variables:
            owner = presets.owner_of_variable(variable)
            assert (
                owner is None
                or ours is None
                or owner == ours
                or any(ours == row[2] and (row[0], row[1]) in DECIDED for row in ROWS)
            ), (
                variable,
                owner,
                ours,
            )


def test_the_recorded_tables_say_where_they_come_from() -> None:
    assert set(RECORDED["_sources"]) == {source for source, *_ in ROWS} == {"pi", "models.dev"}
    assert len([row for row in ROWS if row[0] == "pi"]) >= 40
