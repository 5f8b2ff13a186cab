"""How the commands show what was set up: in words, as JSON values, and with what only a person can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .context import CliContext
from .output import clock, say, show_json, table

if TYPE_CHECKING:
    from ..core.provisioning_state import Record
    from ..engine.provisioning import Provisioning


@contextmanager
def provisioning_of(context: CliContext) -> Iterator[Provisioning]:
    """The providers that were set up in this home, opened as a program opens them."""
    from ..sdk import api

    with api.open(context.home) as held:
        yield held.provisioning


def heal_providers(context: CliContext, *, as_json: bool) -> int:
    """`holdfast heal`: take every step that can be taken for every provider, with what is there. 1 when one
    is not ready."""
    from ..core.errors import NotReady
    from ..provisioning import obstacle

    if context.memory is None or not (context.memory.provisions() or context.memory.broken_provisions()):
        say("nothing was set up that could be healed") if not as_json else show_json([])
        return 0
    told: list[dict[str, Any]] = []
    with provisioning_of(context) as provisioning:
        for record in provisioning.engine.store.provisions():
            try:
                after = provisioning.heal(record, patience=1.0)
                refused = obstacle(after)
            except NotReady as error:
                after, refused = record, error
            told.append(
                view(after)
                | {"ready": refused is None, "run": refused.next_step if refused is not None else ""}
            )
        broken = provisioning.engine.store.broken_provisions()
    told += [
        {
            "name": name,
            "state": "quarantined",
            "reason": wrong,
            "ready": False,
            "run": f"holdfast provision repair {name}",
        }
        for name, wrong in broken
    ]
    if as_json:
        show_json(told)
    else:
        table(
            ("PROVIDER", "STATE", "READY", "NEXT"),
            [[one["name"], one["state"], "yes" if one["ready"] else "no", one["run"]] for one in told],
            empty="",
        )
    return 0 if all(one["ready"] for one in told) else 1


def report(record: Record, as_json: bool) -> None:
    """Raises NotReady when the record is not ready."""
    from ..provisioning import obstacle

    in_the_way = obstacle(record) or next((obstacle(record, role) for role in record.missing), None)
    if as_json:
        show_json(view(record) | {"ready": in_the_way is None})
    if in_the_way is not None:
        raise in_the_way
    if not as_json:
        say(
            f"provider '{record.name}' is {record.state}"
            + (f" ({record.reason}: {record.told})" if record.reason else "")
        )
        for role, model in record.bound.items():
            say(f"  {role}: {record.name}/{model}")
        model = next(iter(record.bound.values()), record.models[0])
        say(f"  next: holdfast check {record.name}/{model}")


def view(record: Record) -> dict[str, Any]:
    """A record as JSON values: no secret is part of it."""
    consent = record.consent
    return {
        "name": record.name,
        "kind": record.kind,
        "capability": str(record.capability),
        "state": str(record.state),
        "reason": record.reason,
        "told": record.told,
        "since": record.since,
        "retry_at": record.next_at or None,
        "url": record.url,
        "key": record.key,
        "roles": {role.name: record.bound.get(role.name) for role in record.roles},
        "models": list(record.models),
        "verified_at": record.verified_at,
        "announced_expiry": record.expires_at,
        "consent": {"what": consent.what, "by": consent.by, "at": consent.at}
        if consent is not None
        else None,
    }


def shown_roles(record: Record) -> str:
    return ", ".join(f"{role.name}={record.bound.get(role.name, '?')}" for role in record.roles) or "none"


def why(record: Record) -> str:
    again = f"; tried again from {clock(record.next_at)}" if record.next_at else ""
    return f"{record.reason}: {record.told}{again}" if record.reason else ""


def ways_out(record: Record) -> list[str]:
    """What only a person can do about a record."""
    name = record.name
    if record.state == "ambiguous":
        return [
            f"a key of '{name}' was asked for at {clock(record.intent_at)}, and nobody knows if it was made ({record.told})",
            f"  if you have it:      holdfast provision adopt {name} --url URL",
            f"  to pay for another:  holdfast provision {name} --accept --again",
            f"  to let it be:        holdfast provision retire {name}",
        ]
    if record.reason in ("key_dead", "key_refused"):
        return [
            f"the key of '{name}' is not accepted ({record.told})",
            f"  another one:  holdfast provision retire {name} && holdfast provision {name} --accept",
        ]
    return []
