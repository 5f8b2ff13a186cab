"""A list of models means the same to every reader: the check, the picker and provisioning read it with one
function."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.identity import can_be_pinned
from holdfast.core.model_roles import OfferedModel
from holdfast.provisioning.model_lists import read_list
from holdfast.wire.model_list import read_models

LISTS: list[tuple[Any, list[str | tuple[str, str]]]] = [
    ({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}, ["b", "a"]),
    ({"data": [{"type": "model", "id": "a", "display_name": "A"}], "has_more": False}, ["a"]),
    (
        {"data": [{"model_name": "a", "id": "7f3c", "model_info": {"mode": "chat", "id": "x"}}]},
        [("a", "chat")],
    ),
    ({"data": [{"id": "a", "mode": "embedding"}, {"id": "b", "mode": 5}]}, [("a", "embedding"), "b"]),
    ({"models": [{"name": "a:latest", "model": "a:latest"}, "b"]}, ["a:latest", "b"]),
    ({"models": [{"name": "models/gemini-pro"}]}, ["models/gemini-pro"]),
    ({"data": None, "models": [{"name": "a"}]}, ["a"]),
    ([{"id": "vendor/a", "name": "A"}], ["vendor/a"]),
    ([{"id": 5, "name": "a"}, {"id": "", "model": "b"}], ["a", "b"]),
    (["a", 7, None, {}, [], {"id": "two\nlines"}, {"id": " padded "}], ["a"]),
    ({"data": []}, []),
    ([], []),
]
NO_LISTS: list[Any] = [
    None, 5, "a", {}, {"data": {}}, {"data": "a"}, {"error": "x"}, {"data": [{}, 7, {"id": 3}]},
    {"data": [None]}, [{"id": "\x1b[2J"}],
]  # fmt: skip


@pytest.mark.parametrize(("document", "wanted"), LISTS)
def test_a_list_is_read_in_every_shape_that_is_known(
    document: Any, wanted: list[str | tuple[str, str]]
) -> None:
    offers = tuple(OfferedModel(item) if isinstance(item, str) else OfferedModel(*item) for item in wanted)
    assert read_models(document) == offers
    assert read_list(200, json.dumps(document).encode()).offers == offers


@pytest.mark.parametrize("document", NO_LISTS)
def test_what_names_no_model_is_no_list_of_models(document: Any) -> None:
    assert read_models(document) is None


_members = st.sampled_from("data models id name model model_name model_info mode".split())
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_members, inner),
    max_leaves=12,
)


@given(_json)
def test_every_name_that_is_read_can_be_pinned_and_is_listed_once(document: Any) -> None:
    names = [offer.name for offer in read_models(document) or ()]
    assert all(map(can_be_pinned, names))
    assert len(names) == len({*names})
