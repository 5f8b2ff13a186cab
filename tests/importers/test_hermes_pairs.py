"""No key of a Hermes home is imported at a host that the home does not pair it with, whatever its entries,
its block `model:`, its fallbacks, its pool of keys and its .env say."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.importers import hermes
from holdfast.values.secret import Secret

EXAMPLES = settings.default.max_examples // 4
VENDORS = {
    "deepseek": ("DEEPSEEK", {"api.deepseek.com"}),
    "xiaomi": ("XIAOMI", {"api.xiaomimimo.com"}),
    "openrouter": ("OPENROUTER", {"openrouter.ai"}),
}
KEYS = [f"k{number}-FAKE0123456789abcdef" for number in range(4)]
UNSET = "https://${NOWHERE}/v1"
keys = st.sampled_from([*KEYS, ""])
Pairs = dict[str, set[str]]


def own_url(host: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", UNSET, f"https://{host}/v1"])


@st.composite
def homes(draw: st.DrawFn) -> dict[str, Any]:
    """A home, as the tables from which its files are written."""
    names = draw(st.lists(st.sampled_from(["relay", "corp", "deepseek", "kimi"]), max_size=3, unique=True))
    entries = [
        {
            "name": name,
            "base_url": draw(own_url(f"{name}.example")),
            "key": draw(keys),
            "form": draw(st.sampled_from(["api_key", "key_env", "vendor", "reference"])),
            "enabled": draw(st.booleans()),
        }
        for name in names
    ]
    block = {
        "provider": draw(st.sampled_from(["", "custom", "relay", "custom:deepseek", "mimo", *VENDORS])),
        "default": "m",
        "base_url": draw(own_url("block.example")),
        "api_key": draw(keys),
    }
    fallbacks = [
        {
            "provider": draw(st.sampled_from(["custom", "corp", *VENDORS])),
            "model": "m",
            "base_url": draw(own_url(f"fallback{number}.example")),
            "api_key": draw(keys),
        }
        for number in range(draw(st.integers(0, 2)))
    ]
    pool = {
        name: [
            {
                "source": "manual",
                "access_token": draw(st.sampled_from(KEYS)),
                "base_url": draw(own_url(f"{name}-pool.example")),
            }
        ]
        for name in draw(st.sets(st.sampled_from(["relay", *VENDORS]), max_size=2))
    }
    variables = {name: draw(keys) for name in VENDORS}
    moved = {name: f"https://{name}-moved.example/v1" for name in draw(st.sets(st.sampled_from([*VENDORS])))}
    return {
        "entries": entries,
        "block": block,
        "fallbacks": fallbacks,
        "pool": pool,
        "variables": variables,
        "moved": moved,
    }


def host_of(url: str) -> set[str]:
    if not url or url == UNSET:
        return set()
    return {url.partition("://")[2].partition("/")[0]}


def vendor_hosts(home: dict[str, Any], name: str) -> set[str]:
    """Where the key of a provider of hermes's own may go: to the vendor, or to another URL of the home."""
    given = [home["moved"].get(name, "")]
    if home["block"]["provider"] in (name, {"xiaomi": "mimo"}.get(name)):
        given.append(home["block"]["base_url"])
    given = [url for url in given if url]
    return set().union(*map(host_of, given)) if given else VENDORS[name][1]


def written(home: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The table of config.yaml and the variables of .env."""
    variables = {f"{VENDORS[name][0]}_API_KEY": value for name, value in home["variables"].items()}
    variables |= {f"{VENDORS[name][0]}_BASE_URL": url for name, url in home["moved"].items()}
    rows = []
    for entry in home["entries"]:
        row = {"name": entry["name"], "base_url": entry["base_url"], "enabled": entry["enabled"]}
        own = f"OF_{entry['name'].upper()}_KEY"
        if entry["form"] == "vendor":
            row["key_env"] = "DEEPSEEK_API_KEY"
        elif entry["form"] == "api_key":
            row["api_key"] = entry["key"]
        else:
            variables[own] = entry["key"]
            row |= {"key_env": own} if entry["form"] == "key_env" else {"api_key": f"${{{own}}}"}
        rows.append(row)
    config = {"custom_providers": rows, "model": home["block"], "fallback_providers": home["fallbacks"]}
    return config, {name: value for name, value in variables.items() if value}


def allowed(home: dict[str, Any]) -> Pairs:
    """The hosts with which the home pairs each key."""
    pairs: Pairs = defaultdict(set)
    for entry in home["entries"]:
        value = home["variables"]["deepseek"] if entry["form"] == "vendor" else entry["key"]
        pairs[value] |= host_of(entry["base_url"])
    for row in (home["block"], *home["fallbacks"]):
        pairs[row["api_key"]] |= host_of(row["base_url"])
        if row["provider"] in VENDORS and not row["base_url"] and row is not home["block"]:
            pairs[row["api_key"]] |= vendor_hosts(home, row["provider"]) | VENDORS[row["provider"]][1]
    for name, rows in home["pool"].items():
        for row in rows:
            hosts = host_of(row["base_url"])
            if not row["base_url"] and name in VENDORS:
                hosts = vendor_hosts(home, name)
            elif not row["base_url"]:
                hosts = {f"{name}.example"}
            pairs[row["access_token"]] |= hosts
    elsewhere = {value: set(hosts) for value, hosts in pairs.items()}
    for name, value in home["variables"].items():
        hosts = vendor_hosts(home, name)
        if not elsewhere.get(value, set()) - hosts or hosts != VENDORS[name][1]:
            pairs[value] |= hosts
    return pairs


UNKNOWN_PROVIDER: dict[str, Any] = {
    "entries": [],
    "block": {
        "provider": "relay",
        "default": "m",
        "base_url": "https://block.example/v1",
        "api_key": KEYS[0],
    },
    "fallbacks": [],
    "pool": {},
    "variables": {"deepseek": KEYS[0], "xiaomi": "", "openrouter": ""},
    "moved": {},
}


@settings(max_examples=EXAMPLES)
@example(UNKNOWN_PROVIDER)
@given(homes())
def test_no_key_of_a_hermes_home_stands_at_a_host_that_the_home_does_not_pair_it_with(
    home: dict[str, Any],
) -> None:
    config, variables = written(home)
    pairs = allowed(home)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        (path / "config.yaml").write_text(json.dumps(config))
        (path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        pools = {("custom:" if name == "relay" else "") + name: rows for name, rows in home["pool"].items()}
        (path / "auth.json").write_text(json.dumps({"credential_pool": pools}))
        result = hermes.read(path, {})
    for entry in result.entries:
        provider = entry.provider()
        for key, ours in zip(entry.keys, provider.keys, strict=True):
            for value in (key.secret, key.seen):
                if isinstance(value, Secret):
                    hosts = {endpoint.host for endpoint in ours.endpoints or provider.endpoints}
                    assert hosts <= pairs[value.reveal()], (entry.name, value.reveal(), hosts)
    shown = json.dumps(result.left_out)
    assert not [value for value in KEYS if value in shown]


def test_a_key_in_the_place_of_a_name_is_not_printed(tmp_path: Path) -> None:
    key = "sk-ant-api03-FAKE0123456789abcdefABCDEF"
    fallback = {"provider": key, "model": key, "base_url": "https://f.example/v1"}
    config = {
        "model": {"provider": key, "default": key, "api_key": KEYS[0]},
        "fallback_providers": [fallback],
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    result = hermes.read(tmp_path, {})
    assert (key in repr(result), result.entries) == (False, ())
    assert "hermes knows no provider" in repr(result)
