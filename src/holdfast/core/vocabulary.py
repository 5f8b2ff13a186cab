"""A provider's error vocabulary as data, and how its rules match. The words themselves live in
`profiles/*.toml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .faults import FaultClass, Origin, Scope


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says. None leaves scope and origin to the defaults of the class; `cause` narrows the class
    down."""

    kind: FaultClass
    scope: Scope | None = None
    origin: Origin | None = None
    terminal: bool = False
    sent: bool = True
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that must occur together. Each part is (wanted, alternatives): one alternative must occur, or
    none may. `statuses` are prefixes of the HTTP status for which the rule holds; empty means all. `name` is
    its sign in a fault."""

    name: str
    verdict: Verdict
    parts: tuple[tuple[bool, tuple[str, ...]], ...]
    statuses: tuple[str, ...] = ()

    def matches(self, words: str, status: str) -> bool:
        """Whether the rule holds for normalised `words` (see `reply.words`) that came with `status`."""
        if self.statuses and not status.startswith(self.statuses):
            return False
        occurs = words.__contains__
        return all(any(map(occurs, alternatives)) is wanted for wanted, alternatives in self.parts)


@dataclass(frozen=True, slots=True)
class Profile:
    """One provider's vocabulary merged over the generic one, as `profiles.load` builds it. Keys of the
    mappings are normalised tokens.

    `own` and `phrases` are the provider's and speak first (numeric codes collide between providers); `codes`
    are those that mean the same everywhere. `types` name the row of `rows` by which the words are read;
    `vague` types do so only when no HTTP status is of use. `statuses` is the last resort. `plan_hosts` maps a
    key prefix to its plan's hosts, between spaces."""

    name: str = "generic"
    own: Mapping[str, Verdict] = field(default_factory=dict)
    phrases: tuple[Rule, ...] = ()
    codes: Mapping[str, Verdict] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    vague: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    statuses: Mapping[str, Verdict] = field(default_factory=dict)
    pages: tuple[Rule, ...] = ()
    transport: tuple[Rule, ...] = ()
    ok_markers: tuple[bytes, ...] = ()
    plan_hosts: Mapping[str, str] = field(default_factory=dict)
    utc_offset: float | None = None

    def plan_host(self, begins: Callable[[str], bool], host: str) -> str | None:
        """The hosts to which keys that `begins` like this belong, where the provider sorts keys by prefix and
        `host` is none of them."""
        hosts = next((hosts.split() for prefix, hosts in self.plan_hosts.items() if begins(prefix)), [])
        return " or ".join(hosts) if hosts and host not in hosts else None
