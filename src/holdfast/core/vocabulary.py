"""A provider's error vocabulary as data, and how its rules match. The words themselves are in
`providers/profiles/*.toml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .faults import FaultClass, Origin, Scope


@dataclass(frozen=True, slots=True)
class Verdict:
    """The class that a rule gives an answer. Scope and origin are None where the class's defaults hold;
    `cause` narrows the class down."""

    kind: FaultClass
    scope: Scope | None = None
    origin: Origin | None = None
    terminal: bool = False
    sent: bool = True
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that must occur together. Each part is (wanted, alternatives): at least one alternative must
    occur, or none may. `statuses` are prefixes of the HTTP statuses for which the rule holds; empty means
    all. `name` becomes a sign of the fault."""

    name: str
    verdict: Verdict
    parts: tuple[tuple[bool, tuple[str, ...]], ...]
    statuses: tuple[str, ...] = ()

    def matches(self, words: str, status: str) -> bool:
        """Return whether the rule holds for `words`, as `response_parser.words` writes them, that came with
        `status`."""
        if self.statuses and not status.startswith(self.statuses):
            return False
        occurs = words.__contains__
        for wanted, alternatives in self.parts:  # noqa: SIM110 - a tenth of the cost of a fault
            if any(map(occurs, alternatives)) is not wanted:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Profile:
    """A provider's vocabulary merged over the generic one, as `profiles.load` builds it. Keys of the
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
    plan_hosts: Mapping[str, str] = field(default_factory=dict)
    utc_offset: float | None = None

    def plan_host(self, begins: Callable[[str], bool], host: str) -> str | None:
        """Return the hosts to which a key belongs, where the provider sorts keys by prefix and `host` is none
        of them; else None. `begins` says whether the key begins with a prefix."""
        hosts = next((hosts.split() for prefix, hosts in self.plan_hosts.items() if begins(prefix)), [])
        if not hosts or host in hosts:
            return None
        return " or ".join(hosts)
