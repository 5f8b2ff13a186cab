"""The address of an entry in a life: how its user may write it, and what the contract says that this
means."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from holdfast.config.parse import parse
from holdfast.core.identity import Dialect, Provider, ProviderName

CHAT, RESPONSES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES
URLS = ("https://one.example/v1", "https://two.example/v1", "https://one.example/plan/v1")
MAKERS = "https://maker.example/v1"
OWN = "https://own.example/v1"
"""The address of a key that has one of its own."""
PRESETS: Mapping[str, Any] = {"maker": {"endpoints": {CHAT: MAKERS, RESPONSES: MAKERS}}}
Written = Mapping[str, Any]


def an_address(jitter: Random, url: str | None = None) -> Written:
    """One of the ways to write an address, with or without a preset behind it."""
    url = url or jitter.choice(URLS)
    ways: tuple[Written, ...] = (
        {"endpoints": {CHAT: url, RESPONSES: url}},
        {"endpoints": {CHAT: url, RESPONSES: url}, "preset": "maker"},
        {"endpoints": {RESPONSES: url}, "preset": "maker"},
        {"url": url, "preset": "maker"},
        {"url": url, "preset": "maker", "dialect": RESPONSES},
        {"url": url},
        {"preset": "maker"},
    )
    (chosen,) = jitter.choices(ways, (6, 2, 1, 2, 1, 1, 1))
    return chosen


def means(written: Written) -> Mapping[Dialect, str]:
    """Where each dialect may go by these words: to the user's addresses if there are any, else to the
    preset's. They are never mixed."""
    if "url" in written:
        return {written.get("dialect", CHAT): written["url"]}
    if "endpoints" in written:
        return {Dialect(dialect): url for dialect, url in written["endpoints"].items()}
    endpoints: Mapping[Dialect, str] = PRESETS[written["preset"]]["endpoints"]
    return endpoints


def read(name: str, written: Written, **more: object) -> Provider:
    """The entry as the code under test reads it."""
    config = parse({"provider": {name: {**written, **more}}}, presets=PRESETS.__getitem__, locate=str)
    return config.providers[ProviderName(name)]


def keys_of(name: str, count: int, own: bool) -> list[Mapping[str, object]]:
    """So many keys, the first two of one account; with `own` the second has an address of its own."""
    keys: list[dict[str, object]] = [
        {"from": f"env:{name.upper()}{n}", "label": f"{name}{n}"} for n in range(count)
    ]
    for key in keys[:2]:
        key["account"] = "team"
    for key in keys[1:2] if own else ():
        key["endpoints"] = {CHAT: OWN}
    return list(keys)
