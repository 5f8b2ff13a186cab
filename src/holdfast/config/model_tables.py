"""The models that a provider's table declares: each a name, or a table of its name with what is known of
it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from ..core.config import INPUTS, ModelFacts
from ..core.identity import Pin, ProviderName
from . import schema
from .toml_text import join

T = TypeVar("T")


class Tables(Protocol):
    """A reader of tables that collects their mistakes (`parse._Reader`)."""

    def wrong(self, path: str, what: str, fix: str = "") -> None: ...
    def tried(self, path: str, make: Callable[[], T], fix: str = "") -> T | None: ...
    def fields(
        self, path: str, value: object, allowed: schema.Fields, owner: str = "NAME"
    ) -> dict[str, Any]: ...


def declared(tables: Tables, path: str, owner: ProviderName, raws: Sequence[object]) -> dict[Pin, ModelFacts]:
    """Return the models of the list at `path` in its order, each with what the file says about it."""
    models: dict[Pin, ModelFacts] = {}
    for position, raw in enumerate(raws):
        here = f"{path}[{position}]"
        pin, facts = _model(tables, here, owner, raw)
        if pin in models:
            tables.wrong(
                here, f"names the same model as {path}[{[*models].index(pin)}]", "remove one of the two"
            )
        elif pin is not None:
            models[pin] = facts
    return models


def _model(tables: Tables, here: str, owner: ProviderName, raw: object) -> tuple[Pin | None, ModelFacts]:
    """Return the pin of one model and what is written about it; None and a mistake where it has no name."""
    if isinstance(raw, str):
        return tables.tried(here, lambda: Pin(owner, raw)), {}
    if not isinstance(raw, Mapping):
        tables.wrong(
            here, "must be the name of a model, or a table of it", 'write { id = "NAME", context = 200_000 }'
        )
        return None, {}
    given = tables.fields(here, raw, schema.MODEL, owner)
    if "id" not in raw:
        tables.wrong(here, "has no 'id': the name of the model", 'write { id = "NAME" }')
    if "id" not in given:
        return None, {}
    name = given.pop("id")
    return tables.tried(join(here, "id"), lambda: Pin(owner, name)), cast("ModelFacts", given)


def written(name: str, **facts: object) -> object:
    """Return a model as it is written in `models`: its name alone, or a table where anything is known of it.

    For numbers and words of other programs' files: what our table would refuse (a limit of 0, another kind of
    input) is left out, and so is None."""
    table: dict[str, object] = {"id": name}
    for member, value in facts.items():
        kept = _kept(member, value)
        if kept is not None:
            table[member] = kept
    if len(table) == 1:
        return name
    return table


def _kept(member: str, value: object) -> object:
    """Return a fact as the file may hold it; None for one that it may not."""
    if member == "input" and isinstance(value, list | tuple):
        value = [kind for kind in dict.fromkeys(map(str, value)) if kind in INPUTS]
    try:
        schema.MODEL[member](value)
    except ValueError:
        return None
    return value


def name_of(model: object) -> str:
    """Return the name of a model that is written as a name or as a table."""
    if isinstance(model, Mapping):
        model = model.get("id")
    return str(model)


def with_tables_of(before: Iterable[object], models: Iterable[object]) -> list[object]:
    """Return these models (names or tables), as `before` writes those that it has; what a table says wins."""
    known = {name_of(model): model for model in before}
    return [_joined(known.get(name_of(model), model), model) for model in models]


def _joined(before: object, model: object) -> object:
    if not isinstance(model, Mapping):
        return before
    if not isinstance(before, Mapping):
        return model
    return {**before, **model}
