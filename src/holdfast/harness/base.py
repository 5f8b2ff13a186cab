"""The parts of a hand-over: the address that a program sends its requests to (Target), the launch that was
requested (LaunchRequest), and the plan (Handover).

Everything here is a value. A plan holds no secret: it names the one variable in which the child finds its
token or key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.config import ModelFacts
from ..core.errors import CannotHandOver
from ..core.identity import Auth, Dialect, Endpoint, Pin
from .arguments import choosing
from .own_settings import OwnSettings

TOKEN = "HOLDFAST_TOKEN"  # noqa: S105
"""The variable that holds the gateway's token, or with `--direct` the key, where a program lets us choose the
name."""
_LISTED = "holdfast run --list   (shows the programs that can be handed a connection)"
_VERSION = re.compile(r"\d+(?:\.\d+)+")
ANY_AUTH = frozenset(Auth)


@dataclass(frozen=True, slots=True)
class Target:
    """The address that a program sends its requests to: the gateway, or the provider itself (`direct`).
    `endpoint.url` has the version for the OpenAI dialects, and not for Anthropic's, as everywhere. `facts`
    are the model's limits and abilities, as far as they are known. `translated`: the gateway writes the
    program's requests in another dialect, so what that cannot carry is better not offered."""

    pin: Pin
    endpoint: Endpoint
    direct: bool = False
    facts: ModelFacts = field(default_factory=ModelFacts)
    translated: bool = False

    @property
    def slug(self) -> str:
        """Return the provider's id inside the program: never that of one which the program knows by itself,
        and without dots, so that it can be part of a dotted path."""
        return f"holdfast-{self.pin.provider.replace('.', '_')}"

    @property
    def model(self) -> str:
        return self.pin.model

    @property
    def dialect(self) -> Dialect:
        return self.endpoint.dialect

    @property
    def url(self) -> str:
        """Return the endpoint's URL as it is configured."""
        return self.endpoint.url

    @property
    def versioned_url(self) -> str:
        """Return the URL for programs that want the version in it, whatever the dialect."""
        if self.dialect is Dialect.ANTHROPIC_MESSAGES and not self.url.endswith("/v1"):
            return f"{self.url}/v1"
        return self.url

    @property
    def bare_url(self) -> str:
        """Return the URL for programs that add the version by themselves."""
        return self.url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """A launch to be planned: the target, the private directory (absolute), the program's version (empty if
    it is not known), the user's own arguments, and the variables that hold the keys of known providers
    (presets.toml)."""

    target: Target
    directory: str
    version: tuple[int, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def variable(self, preset: str) -> str:
        """Return the variable from which a program reads the key of this maker, where we cannot choose it."""
        return self.variables[preset][0]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the private directory. With `keep` it belongs to the program once it is there; we only create
    it."""

    path: str
    content: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The marks that every request should have at the other end: the beginning of its URL, its model, and the
    style in which it sends its key."""

    url: str
    model: str
    auth: Auth


@dataclass(frozen=True, slots=True)
class Handover:
    """A plan: the files and variables that make a program use exactly this connection, and how that is
    proven.

    argv      the program and all its arguments
    files     written to the private directory, 0600, before it starts; no secret in any of them
    set       variables of its environment; no secret in any of them
    unset     names and patterns (`OPENAI_*`) of variables that it must not inherit
    secret    the one variable that receives the token or key; "" when none is needed
    expected  the marks of its requests
    proof     where it can be seen afterwards what was used
    project   files of the working directory that it obeys above everything: refused when they set a variable
              of `unset`
    """

    harness: str
    argv: tuple[str, ...]
    files: tuple[File, ...]
    set: Mapping[str, str]
    unset: tuple[str, ...]
    secret: str
    expected: Expected
    proof: str = ""
    project: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectOffer:
    """The values that an installed program gets when it is connected: the gateway's root URL, the file that
    holds its token, the command that prints the token once the gateway has proved whose it is, every model as
    a pin with the dialect in which this program asks for it, the pin to begin with ("" if none was named),
    and what is known of each model, by pin."""

    root: str
    token_file: str
    token_command: tuple[str, ...]
    models: tuple[tuple[str, Dialect], ...]
    pin: str = ""
    facts: Mapping[str, ModelFacts] = field(default_factory=dict)

    def facts_of(self, pin: str) -> ModelFacts:
        """Return what is known of a model, by its pin."""
        return self.facts.get(pin, ModelFacts())

    def url(self, dialect: Dialect) -> str:
        """Return the URL for a client of this dialect, in the form of `Target.url`."""
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            return self.root
        return f"{self.root}/v1"


@dataclass(frozen=True, slots=True)
class Attachment:
    """The members, by path, that `connect` adds to one JSON file of a program's own configuration, or the
    `lines` of a TOML file; they replace nothing. The program looks in the directory that `variable` names,
    else in `directory` below HOME; of `names` the first that exists is edited, else the last is created.
    `use` is the command that starts the program on it."""

    variable: str
    directory: str
    names: tuple[str, ...]
    members: tuple[tuple[tuple[str, ...], object], ...]
    use: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Harness:
    """An agent program. `speaks` is in its order of preference; `wire` names its protocol where that is no
    dialect of ours.

    shows          the styles in which it can send a key, by dialect; the gateway takes a bearer token or
                   x-api-key
    oldest         the first version that reads what we write
    tested         the version that we drove, "" when the plan is from its documentation
    chooses        its own arguments that would choose another connection: refused, because the pin chooses
    abbreviates    True if it takes an argument by its first letters
    takes_headers  True if extra headers of an endpoint can be handed over
    no_plan        why it cannot be handed a connection; "" when it can
    attach         returns the members that `connect` adds to its configuration; None where it cannot
    no_attach      how it takes its key, where that is neither from a file nor from a command
    settings       its user's own settings that could win over these members
    """

    name: str
    title: str
    executable: str
    install: str
    speaks: tuple[Dialect, ...]
    plan: Callable[[LaunchRequest], Handover]
    oldest: str = ""
    tested: str = ""
    wire: str = ""
    shows: Mapping[Dialect, frozenset[Auth]] = field(default_factory=dict)
    chooses: tuple[str, ...] = ()
    abbreviates: bool = False
    takes_headers: bool = True
    no_plan: str = ""
    no_attach: str = "from the environment only, where every program would see the token"
    attach: Callable[[ConnectOffer], Attachment] | None = None
    settings: OwnSettings | None = None

    def check_plan(self) -> None:
        """Raise CannotHandOver for a program that can never be handed a connection."""
        if self.no_plan:
            raise CannotHandOver(f"{self.title} cannot be run: {self.no_plan}", next_step=_LISTED)

    def hand_over(self, request: LaunchRequest) -> Handover:
        """Return the plan for a request. Raises CannotHandOver with all reasons against it, not only the
        first."""
        reasons = [*self._too_old(request), *self._lacking(request), *self._choosing(request)]
        if reasons:
            target = request.target
            what = f"{self.title} cannot be handed {target.pin} at {target.endpoint.host}"
            if target.direct:
                what += " directly"
            raise CannotHandOver(what, details=reasons, next_step=self._next_step(request))
        return self.plan(request)

    def _too_old(self, request: LaunchRequest) -> list[str]:
        if not request.version or request.version >= version_of(self.oldest):
            return []
        installed = ".".join(map(str, request.version))
        return [f"version {installed} is installed, and we need {self.oldest} or newer: {self.install}"]

    def _lacking(self, request: LaunchRequest) -> list[str]:
        """Return the reasons why the program cannot send what the target needs."""
        target, reasons = request.target, []
        if self.no_plan:
            reasons.append(self.no_plan)
        if not target.direct:
            return reasons
        auth = target.endpoint.auth
        if auth not in self.shows.get(target.dialect, frozenset()):
            if auth is Auth.NONE:
                reasons.append("the endpoint takes no key, and this program sends no request without one")
            else:
                reasons.append(f"the endpoint wants its key as '{auth}', which this program cannot send")
        if target.endpoint.headers and not self.takes_headers:
            names = ", ".join(name for name, _ in target.endpoint.headers)
            reasons.append(f"the endpoint needs the headers {names}, which this program cannot send")
        return reasons

    def _choosing(self, request: LaunchRequest) -> list[str]:
        arguments = choosing(request.arguments, self.chooses, self.abbreviates)
        return [
            f"its argument '{argument}' would choose another connection: the pin chooses"
            for argument in arguments
        ]

    def _next_step(self, request: LaunchRequest) -> str:
        if self.no_plan:
            return _LISTED
        if self._choosing(request):
            return f"holdfast run {self.name} --pin PROVIDER/MODEL -- ARGS"
        if request.target.direct:
            pin = request.target.pin
            return f"holdfast run {self.name} --pin {pin}   (without --direct: the gateway sends the key)"
        return self.install


def named(facts: ModelFacts, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what is known of a model under a program's own names; `names` has ours by theirs."""
    known: Mapping[str, Any] = {**facts}
    return {theirs: known[ours] for theirs, ours in names.items() if ours in known}


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of the first version in a text, such as `codex-cli 0.169.0`; () when there is
    none."""
    match = _VERSION.search(text)
    if match is None:
        return ()
    return tuple(map(int, match[0].split(".")))


def compact(value: object) -> str:
    """Return JSON in one line; a string of it is a TOML string and a YAML scalar as well."""
    return json.dumps(value, ensure_ascii=False)


def pretty(value: object) -> str:
    """Return JSON as the text of a file."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def expected(target: Target) -> Expected:
    """Return the marks of the requests that go to `target`."""
    return Expected(target.url, target.model, target.endpoint.auth)
