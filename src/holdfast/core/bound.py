"""Requests that refer to what one account alone knows: a previous response, encrypted reasoning, a file. Keys
of one configured `account` are one; a key without is its own."""

from __future__ import annotations

from .changes import Owner
from .identity import Connection
from .key_selection import DecisionContext
from .routes import Route


def made_by(route: Route, owner: Owner | None, context: DecisionContext) -> Connection | None:
    """Return the route's connection whose key is the owner: by its value, else by its label."""
    if owner is None or route.connection.provider.name != owner.provider:
        return None
    for each in route.connections:
        if each.key is not None and context.fingerprint(each.key) == owner.fingerprint:
            return each
    return labelled(route, owner.label)


def labelled(route: Route, label: str | None) -> Connection | None:
    """Return the route's connection whose key has this label."""
    return next((each for each in route.connections if each.label == label), None)


def of_other_accounts(route: Route, than: Connection) -> set[str]:
    """Return the labels of the route's keys that belong to other accounts than that of a connection."""
    others = {each.label for each in route.connections if not than.account or each.account != than.account}
    return others - {than.label}
