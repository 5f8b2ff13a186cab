"""The views of a provisioned provider: as text, as JSON values, and as commands for its user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from .context import CliContext
from .output import clock, command_of, if_any, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from ..core.errors import NotReady
    from ..core.provisioning_state import Record
    from ..engine.provisioning import Provisioning
    from ..store.base import BrokenRecord

T = TypeVar("T")


@contextmanager
def provisioning_of(context: CliContext) -> Iterator[Provisioning]:
    """Open the provisioned providers of this home, as a program opens them."""
    from ..sdk import api

    with api.open(context.home) as held:
        yield held.provisioning


def heal_providers(context: CliContext, *, as_json: bool) -> int:
    """Take every step that can be taken for every provider. Return the exit code: 1 when one is not ready."""
    from ..core.errors import NotReady

    store = context.existing_store
    if not store.provisions() and not store.broken_provisions():
        if as_json:
            show_json([])
        else:
            say("no provider to repair")
        return 0
    views: list[dict[str, Any]] = []
    with provisioning_of(context) as provisioning:
        for record in provisioning.engine.store.provisions():
            refused: NotReady | None
            try:
                with waiting(f"repairing '{record.name}'"):
                    after = provisioning.heal(record, patience=1.0)
                refused = obstacle_of(provisioning, after)
            except NotReady as error:
                after, refused = record, error
            step = getattr(refused, "next_step", "")
            views.append(view(after) | {"ready": refused is None, "run": step})
        broken = provisioning.engine.store.broken_provisions()
    views += [
        _lost_view(lost) | {"ready": False, "run": f"holdfast provision repair {lost.name} --discard"}
        for lost in broken
    ]
    if as_json:
        show_json(views)
    else:
        rows = []
        for shown in views:
            ready = "yes" if shown["ready"] else "no"
            rows.append([shown["name"], shown["state"], ready, shown["run"]])
        table(("PROVIDER", "STATE", "READY", "NEXT"), rows, empty="")
    return int(not all(shown["ready"] for shown in views))


def stored_record(provisioning: Provisioning, name: str) -> Record:
    """Return the record of a provider. Raises NotReady for a record that cannot be read, ConfigError with the
    nearest name that was set up where there is none."""
    from ..core.config import near
    from ..core.errors import ConfigError

    store = provisioning.engine.store
    record = store.provision(name)
    if record is None:
        known = [other.name for other in store.provisions()]
        raise ConfigError(
            f"nothing was set up under the name '{name}': {near(name, known)}",
            next_step="holdfast provision status",
        )
    return record


def stored_key(provisioning: Provisioning, name: str, source: str | None, again: str) -> str:
    """Return the reference of a key that is stored already (`store:LABEL`), "" for another source. Raises
    ConfigError where nothing is stored so."""
    from ..core.errors import ConfigError

    scheme, _, label = (source or "").partition(":")
    if scheme != "store":
        return ""
    labels = provisioning.engine.vault.file.labels(name)
    if label not in labels:
        known = ", ".join(labels) or "none"
        raise ConfigError(f"no key '{label}' is stored for '{name}' (stored: {known})", next_step=again)
    return f"store:{label}"


def obstacle_of(provisioning: Provisioning, record: Record) -> NotReady | None:
    """Return why a record, or one of its roles, cannot be used here; None when all can."""
    from ..provisioning import obstacle

    missing = (obstacle(record, role) for role in record.missing)
    return provisioning.obstacle(record) or next(missing, None)


def asked(take: Callable[[], T]) -> T:
    """Return what a call to a service gives, and tell what is waited for."""
    with waiting("asking the service that gives the key"):
        return take()


def report(provisioning: Provisioning, record: Record, as_json: bool, instead: Sequence[str] = ()) -> None:
    """Show a record. Raises NotReady when it is not ready, with the first command of `instead` if there is
    one."""
    refusal = obstacle_of(provisioning, record)
    if as_json:
        show_json(view(record) | {"ready": refusal is None})
    if refusal is not None:
        for line in instead:
            command = line.partition(":")[2].strip()
            raise type(refusal)(refusal.what, reason=refusal.reason, next_step=command)
        raise refusal
    if not as_json:
        say(f"provider '{record.name}' is {record.state}{if_any(' ({})', _reason(record))}")
        for role, model in record.bound.items():
            say(f"  {role}: {record.name}/{model}")
        model = next(iter(record.bound.values()), record.models[0])
        say(f"  next: holdfast check {record.name}/{model}")


def view(record: Record) -> dict[str, Any]:
    """Return a record as JSON values. It holds no secret."""
    consent = None
    if record.consent is not None:
        consent = {"what": record.consent.what, "by": record.consent.by, "at": record.consent.at}
    return {
        "name": record.name,
        "kind": record.kind,
        "capability": str(record.capability),
        "state": str(record.state),
        "reason": record.reason,
        "told": record.detail,
        "since": record.since,
        "retry_at": record.next_at or None,
        "url": record.url,
        "key": record.key,
        "roles": {role.name: record.bound.get(role.name) for role in record.roles},
        "models": list(record.models),
        "verified_at": record.verified_at,
        "announced_expiry": record.expires_at,
        "consent": consent,
    }


def views_of(
    context: CliContext, records: Sequence[Record], broken: Sequence[BrokenRecord]
) -> list[dict[str, Any]]:
    """Return records, also those that cannot be read, as JSON values with the same members."""
    shown = [view(record) | {"key_here": has_key_here(context, record)} for record in records]
    return shown + [_lost_view(lost) | {"key_here": False} for lost in broken]


def _lost_view(lost: BrokenRecord) -> dict[str, Any]:
    """Return a record that cannot be read as JSON values: its members are those of one that can be."""
    from ..core.identity import ProviderName
    from ..core.provisioning_state import Capability, Record

    known = view(Record(ProviderName(lost.name), lost.kind, Capability.REPLAYABLE))
    empty = dict.fromkeys(known) | {"roles": {}, "models": []}
    return empty | {"name": lost.name, "kind": lost.kind, "state": "quarantined", "reason": lost.why}


def has_key_here(context: CliContext, record: Record) -> bool:
    """Tell whether the key of a record that has one is in this home, where it is stored at all."""
    from ..core.provisioning_state import WITH_KEY

    scheme, _, label = record.key.partition(":")
    if scheme != "store" or record.state not in WITH_KEY:
        return True
    return context.vault.file.get(record.name, label) is not None


def status_row(context: CliContext, record: Record) -> list[str]:
    """Return a record as a row of the table of `status`. One whose key is not here is not called usable."""
    state, reason = str(record.state), why(record)
    if not has_key_here(context, record):
        state, reason = "no key here", "its key is on another machine; `holdfast heal` says what to do"
    return [record.name, record.kind, state, shown_roles(record), reason]


def shown_roles(record: Record) -> str:
    """Return each role with its model, `?` where it has none."""
    return ", ".join(f"{role.name}={record.bound.get(role.name, '?')}" for role in record.roles) or "none"


def why(record: Record) -> str:
    """Return why a record is in its state, and when the next try is due."""
    parts = [_reason(record)]
    if record.next_at:
        parts.append(f"next try at {clock(record.next_at)}")
    return "; ".join(filter(None, parts))


def _reason(record: Record) -> str:
    if not record.reason:
        return ""
    return f"{record.reason}: {record.detail}"


def ways_out(record: Record) -> list[str]:
    """Return the lines about a record that only its user can repair, with the commands."""
    name, again = record.name, ""
    if record.capability == "one-shot" and record.minted:
        again = " --again   (you may pay for a second one)"
    if record.state == "ambiguous":
        asked = f"a key of '{name}' was requested at {clock(record.intent_at)}"
        return [
            f"{asked}. It is unknown if it was created ({record.detail})",
            f"  if you have it:      holdfast provision adopt {name} --url URL",
            f"  to pay for another:  holdfast provision {name} --accept --again",
            f"  to give up:          holdfast provision retire {name}",
        ]
    if record.reason in ("key_dead", "key_refused"):
        return [
            f"the key of '{name}' is not accepted ({record.detail})",
            f"  another one:  holdfast provision retire {name} && holdfast provision {name} --accept{again}",
        ]
    return []


def without_record(context: CliContext, lost: BrokenRecord) -> str:
    """Return the command for a provider whose record was deleted. Where holdfast.toml still has it, it is
    like one that its user wrote, and nothing is adopted into that."""
    if lost.name in context.config.providers:
        return f"holdfast check {lost.name}   (it is still in {context.home.config})"
    adopt = command_of("holdfast provision adopt", lost.name, {"kind": lost.kind or "KIND", "url": "URL"})
    return f"{adopt}   (if you have its key)"
