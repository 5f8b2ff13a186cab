"""Each member, block and tool of a request that the types of Anthropic's SDK have: one that is new there is
seen here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from anthropic.types.beta import BetaContentBlockParam, BetaToolResultBlockParam, BetaToolUnionParam
from anthropic.types.beta import message_create_params as published
from typing_extensions import get_type_hints, is_typeddict

from holdfast.translate import read_messages
from holdfast.translate.losses import Losses, Untranslatable
from tables import rows
from translate.messages_to_chat import SEALER, asking, carried

CANNOT_BE_TOLD = {"browser_state"}
"""Blocks that only a tool of Anthropic's own has in its results."""
NOT_READ = {"toolset_name", "transformations"}
"""Members of blocks that are left out as ones that nobody knows."""

RUN_BY_THE_CALLER = ("custom", "bash_", "text_editor_", "memory_")
ON_A_SCREEN = ("computer_", "browser_")


def _objects(kind: Any) -> Iterator[Any]:
    """Yield the types of objects that a type allows."""
    if is_typeddict(kind):
        yield kind
    for inner in get_args(kind):
        yield from _objects(inner)


def _literals(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [literal for inner in get_args(kind) for literal in _literals(inner)]


def _by_type(kind: Any) -> dict[str, set[str]]:
    """Return the members of each type of object, by the value of its `type`."""
    members: dict[str, set[str]] = {}
    for made in _objects(kind):
        hints = get_type_hints(made)
        for name in _literals(hints["type"]):
            members.setdefault(name, set()).update(hints)
    return members


def _blocks() -> dict[str, set[str]]:
    inner = get_type_hints(BetaToolResultBlockParam)["content"]
    return _by_type(BetaContentBlockParam) | _by_type(inner)


BLOCKS = _blocks()


def _read(**members: Any) -> tuple[str, tuple[str, ...]]:
    """Return why a request is refused, and what was lost until then."""
    losses = Losses()
    try:
        read_messages.read(asking(**members), SEALER, losses)
    except Untranslatable as refusal:
        return refusal.why, losses.names
    return "", losses.names


def _read_block(block: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Read a block in messages of all roles, and in a result."""
    result = {"type": "tool_result", "tool_use_id": "a", "content": [block]}
    contents = [("user", block), ("assistant", block), ("system", block), ("user", result)]
    return [_read(messages=[{"role": role, "content": [content]}]) for role, content in contents]


@rows("name", sorted(BLOCKS))
def test_a_block_that_anthropic_publishes_is_known(name: str) -> None:
    block = dict.fromkeys(BLOCKS[name] - NOT_READ, "x") | {"type": name}
    outcomes = _read_block(block)
    assert any("are not known" in why for why, _ in outcomes) == (name in CANNOT_BE_TOLD)
    assert not any("unknown_member" in less for _, less in outcomes)


def test_a_tool_that_anthropic_publishes_is_known() -> None:
    for name, members in _by_type(BetaToolUnionParam).items():
        _, less = _read(tools=[dict.fromkeys(members, "x") | {"type": name, "defer_loading": False}])
        assert "unknown_member" not in less
        tools = asking(tools=[{"name": "a"}, {"type": name, "name": "b"}])
        if name.startswith(ON_A_SCREEN):
            assert "only Anthropic's models" in _read(**tools)[0]
        else:
            assert len(carried(tools).body["tools"]) == name.startswith(RUN_BY_THE_CALLER) + 1


def test_a_member_that_anthropic_publishes_is_known() -> None:
    members = get_type_hints(published.MessageCreateParamsBase)
    assert not [name for name in members if "unknown_member" in _read(**{name: "x"})[1]]
    assert "unknown_member" in _read(nobody_knows="x")[1]
