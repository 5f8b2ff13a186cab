"""hermes-agent 0.19.0 is the judge of the table of rows (tests/data/hermes): which URL and key it takes for
each, as it is, as we write it, and as its user decides it; and of our table of its own providers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import real
from test_predictions import decide

from holdfast.importers.hermes_builtin import before_entries, table
from holdfast.importers.hermes_home import HermesHome, read_home
from holdfast.importers.hermes_resume import Destination, goes_to
from holdfast.importers.hermes_rows import row_of
from holdfast.importers.hermes_verdicts import judge

DATA = Path(__file__).parents[2] / "tests" / "data" / "hermes"
ROWS: list[dict[str, Any]] = json.loads((DATA / "rows.json").read_text("utf-8"))
NAMES = "A_KEY B_KEY G_KEY S_KEY Z_KEY D_KEY M_KEY M2_KEY MV_KEY V_KEY W_KEY K_KEY ME_KEY".split()
OWN = {f"{own}_API_KEY": f"sk-of-{own.lower()}-0123456789" for own in ("DEEPSEEK", "OPENROUTER", "XAI")}
ENV = {**{name: f"sk-of-{name.lower()}-0123456789" for name in NAMES}, **OWN}
COLUMNS = ("id", "source", "model", "billing_provider", "billing_base_url", "billing_mode")
pytestmark = pytest.mark.timeout(600)

LISTED = """
import json, sys
from hermes_cli.auth import PROVIDER_REGISTRY, AuthError, resolve_provider
known = {}
for name in json.load(sys.stdin):
    try:
        own = resolve_provider(name)
    except AuthError:
        continue
    row = PROVIDER_REGISTRY.get(own)
    columns = (row.inference_base_url, list(row.api_key_env_vars), row.base_url_env_var) if row else None
    known[name] = (own, columns)
names = sorted({row.id for row in PROVIDER_REGISTRY.values()} | {"openrouter"})
with open(sys.argv[1], "w") as out:
    json.dump({"known": known, "names": names}, out)
"""


@pytest.fixture
def home(tmp_path: Path) -> HermesHome:
    """The home of the table."""
    directory = tmp_path / "hermes"
    directory.mkdir()
    (directory / "config.yaml").write_text((DATA / "config.yaml").read_text("utf-8"))
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in ENV.items()))
    pool = {"minimax": [{"id": "p1", "source": "manual", "auth_type": "api_key", "label": "one"}]}
    pool["minimax"][0]["access_token"] = "sk-in-the-pool-0123456789"
    (directory / "auth.json").write_text(json.dumps({"version": 1, "credential_pool": pool}))
    return read_home(directory, {})


def columns_of(row: dict[str, Any], config: str | None = None) -> dict[str, Any]:
    """The columns of a row; with another `model_config` if one is given."""
    text = config if config is not None else row.get("model_config")
    if not isinstance(text, str | None):
        text = json.dumps(text)
    return {**{name: row.get(name) for name in COLUMNS}, "model_config": text}


def key_of(today: Destination) -> str | None:
    """The key that we say hermes takes; None where we say nothing certain."""
    if today.entry is not None:
        if not today.entry.keys:
            return "no-key-required"
        return ENV.get(today.entry.keys[0].ref.partition(":")[2], "no-key-required")
    own = table().get(today.provider)
    if own is None or own.keys_elsewhere:
        return None
    return next((ENV[name] for name in own.env if name in ENV), None)


def may_be_refused(ours: Destination) -> bool:
    """Whether we say that hermes refuses, or cannot say whether it has a key."""
    own = table().get(ours.provider)
    is_unknown = own is not None and own.keys_elsewhere
    return is_unknown or ours.provider.startswith("nowhere") or ours.key.startswith("no key (")


def differences(cases: list[tuple[str, Destination]], decided: list[dict[str, str]]) -> list[str]:
    """The cases where hermes asks another URL or shows another key than we say."""
    wrong = []
    for (called, ours), theirs in zip(cases, decided, strict=True):
        if "refused" in theirs:
            agrees = ours.entry is None and may_be_refused(ours)
        else:
            agrees = ours.url.rstrip("/") in ("", theirs["url"].rstrip("/"))
            agrees = agrees and key_of(ours) in (None, theirs["key"])
        if not agrees:
            wrong.append(f"{called}: we say {ours}, hermes {theirs}")
    return wrong


def test_hermes_sends_each_row_of_the_table_where_we_say(home: HermesHome) -> None:
    cases = [(row["id"], goes_to(home, row_of(columns_of(row)))) for row in ROWS]
    wrong = differences(cases, decide(home.path, [columns_of(row) for row in ROWS]))
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def test_a_row_that_we_write_or_its_user_decides_goes_to_its_provider(home: HermesHome) -> None:
    written: list[dict[str, Any]] = []
    cases: list[tuple[str, Destination]] = []
    for row in ROWS:
        before = judge(home, row_of(columns_of(row)))
        for chosen in (None, *before.candidates):
            verdict = judge(home, row_of(columns_of(row)), chosen)
            if verdict.config is None or verdict.row.follows:
                continue
            after = columns_of(row, verdict.config)
            called = verdict.belongs or ""
            entry = home.named(called)
            own = home.own(called)
            url = row_of(after).url
            if entry is not None:
                url = entry.url
            elif own is not None and not url:
                url = own.url
            expected = goes_to(home, row_of(after))
            assert expected.entry == entry, (row["id"], chosen)
            cases.append(
                (f"{row['id']} as {called}", Destination(entry, expected.provider, url, expected.key))
            )
            written.append(after)
    assert len(cases) > 60
    wrong = differences(cases, decide(home.path, written))
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def test_our_table_of_hermes_own_providers_is_that_of_hermes(home: HermesHome) -> None:
    out = home.path / "listed.json"
    known_here = {name: own for name, own in table().items() if own.name not in ("vertex", "moa")}
    done = subprocess.run(
        [real.PYTHON, "-c", LISTED, str(out)],
        input=json.dumps(sorted(known_here)),
        env=real.environment(home.path),
        cwd=home.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.exists(), done.stderr[-2000:]
    theirs = json.loads(out.read_text())
    assert theirs["names"] == sorted({own.name for own in known_here.values()})
    for name, own in known_here.items():
        canonical, columns = theirs["known"][name]
        assert canonical == own.name, name
        assert (name in before_entries()) == (canonical == name), name
        if columns is not None:
            url = columns[0] if columns[0].startswith("http") else ""
            assert (url, tuple(columns[1]), columns[2]) == (own.url, own.env, own.url_env), name
