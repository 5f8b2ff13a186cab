"""What a hand-over is made of: where the program shall send its requests (Way), what we were asked (Task),
and the plan (Handover).

Everything here is a value. A plan holds no secret: it names the one variable in which the child finds its
token or key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from ..core.errors import CannotHandOver
from ..core.identity import Auth, Dialect, Endpoint, Pin

TOKEN = "HOLDFAST_TOKEN"  # noqa: S105 - a variable's name
"""The variable that holds the gateway's token, or with `--direct` the key, where a program lets us choose the
name."""
_DIGITS = re.compile(r"\d+")
ANY_AUTH = frozenset(Auth)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a program is to send its requests: to the gateway, or straight to the provider. `endpoint.url` is
    as everywhere: with the version for the OpenAI dialects, without it for Anthropic's."""

    pin: Pin
    endpoint: Endpoint
    direct: bool = False

    @property
    def slug(self) -> str:
        """The provider's id inside the program: never that of one which the program knows by itself, and fit
        for dotted paths."""
        return f"holdfast-{self.pin.provider.replace('.', '_')}"

    @property
    def model(self) -> str:
        return self.pin.model

    @property
    def dialect(self) -> Dialect:
        return self.endpoint.dialect

    @property
    def url(self) -> str:
        """The endpoint's URL as it is configured."""
        return self.endpoint.url

    @property
    def versioned_url(self) -> str:
        """The URL for programs that want the version in it, whatever the dialect."""
        return (
            self.url
            if self.dialect is not Dialect.ANTHROPIC_MESSAGES or self.url.endswith("/v1")
            else f"{self.url}/v1"
        )

    @property
    def bare_url(self) -> str:
        """The URL for programs that add the version by themselves."""
        return self.url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """One hand-over to be planned: the way, the private directory (absolute), the program's version (empty if
    it did not tell), the user's own arguments, and the variables that known providers' keys are found in
    (presets.toml)."""

    way: Target
    directory: str
    version: tuple[int, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def variable(self, preset: str) -> str:
        """The name under which a program looks for the key of this maker, where it lets us choose none."""
        return self.variables[preset][0]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the private directory. `keep`: it belongs to the program once it is there; we only begin
    it."""

    path: str
    content: str
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What the other end should see of every request: its URL begins with this, it names this model, it shows
    its key like this."""

    url: str
    model: str
    auth: Auth


@dataclass(frozen=True, slots=True)
class Handover:
    """A plan: what is written, set and removed so that a program uses exactly this connection, and how that
    is proven.

    argv      the program and all its arguments
    files     written to the private directory, 0600, before it starts; no secret in any of them
    set       variables of its environment; no secret in any of them
    unset     names and patterns (`OPENAI_*`) of variables that it must not inherit
    secret    the one variable that receives the token or key; "" when none is needed
    expected  what the provider's side sees
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
    """What an installed program is to find when it is connected: the gateway's root URL, the file that holds
    its token, every model as a pin with the dialect in which this program asks for it, and the pin to begin
    with ("" if none was named)."""

    root: str
    token_file: str
    models: tuple[tuple[str, Dialect], ...]
    pin: str = ""

    def url(self, dialect: Dialect) -> str:
        """Where a client of this dialect is pointed to, as `Way.url` is written."""
        return self.root if dialect is Dialect.ANTHROPIC_MESSAGES else f"{self.root}/v1"


@dataclass(frozen=True, slots=True)
class Attachment:
    """What `connect` adds to one file of a program's own configuration: members by path, never in the place
    of something that is there. `variable` and `directory` say where the program looks (its variable, else
    below HOME); of `names` the first that exists is edited, else the last is made. `whole`: the file as a
    whole is ours. `use` is how the program is started on it."""

    variable: str
    directory: str
    names: tuple[str, ...]
    members: tuple[tuple[tuple[str, ...], object], ...]
    use: str
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Harness:
    """An agent program. `speaks` is in the order of its liking; `wire` says what it speaks where that is no
    dialect of ours.

    shows          how it can be told to show a key, by dialect; the gateway takes a bearer token or x-api-key
    oldest         the first version that reads what we write
    tested         the version that we drove, "" when the plan is from its documentation
    chooses        its own arguments that would choose another connection: refused, because the pin chooses
    abbreviates    whether it takes an argument by its first letters
    takes_headers  whether extra headers of an endpoint can be handed over
    no_plan        why it cannot be handed anything
    attach         what `connect` adds to its configuration; None where it takes a key neither from a file nor
                   from a command
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
    attach: Callable[[ConnectOffer], Attachment] | None = None

    def hand_over(self, task: LaunchRequest) -> Handover:
        """The plan for a task. Raises CannotHandOver with everything that stands in its way, not the
        first."""
        missing = [*self._too_old(task), *self._auth(task), *self._chosen(task)]
        if missing:
            what = f"{self.title} cannot be handed {task.way.pin} at {task.way.endpoint.host}" + (
                " directly" if task.way.direct else ""
            )
            raise CannotHandOver(what, details=missing, next_step=self._way_out(task, missing))
        return self.plan(task)

    def _too_old(self, task: LaunchRequest) -> list[str]:
        if not task.version or task.version >= version_of(self.oldest):
            return []
        return [
            f"version {'.'.join(map(str, task.version))} is installed, and {self.oldest} is the first that reads what we write: {self.install}"
        ]

    def _auth(self, task: LaunchRequest) -> list[str]:
        way, missing = task.way, [self.no_plan] if self.no_plan else []
        if not way.direct:
            return missing
        if way.endpoint.auth not in self.shows.get(way.dialect, frozenset()):
            wants = (
                "takes no key, and it sends none of its requests without one"
                if way.endpoint.auth is Auth.NONE
                else f"wants its key as '{way.endpoint.auth}'"
            )
            missing.append(f"the endpoint {wants}")
        if way.endpoint.headers and not self.takes_headers:
            missing.append(
                f"the endpoint needs the headers {', '.join(name for name, _ in way.endpoint.headers)}, which it cannot be told"
            )
        return missing

    def _chosen(self, task: LaunchRequest) -> list[str]:
        said = choosing(task.arguments, self.chooses, self.abbreviates)
        return [f"its argument '{one}' would choose another connection: the pin chooses" for one in said]

    def _way_out(self, task: LaunchRequest, missing: list[str]) -> str:
        if self.no_plan:
            return "holdfast run --list   (shows the programs that can be handed a connection)"
        if any("the pin chooses" in one for one in missing):
            return f"holdfast run {self.name} --pin PROVIDER/MODEL -- ARGS"
        if task.way.direct:
            return f"holdfast run {self.name} --pin {task.way.pin}   (without --direct: the gateway shows the key)"
        return self.install


def version_of(text: str) -> tuple[int, ...]:
    """The numbers of the first version in a text, such as `codex-cli 0.169.0`; () when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(one) for one in _DIGITS.findall(found[0])) if found else ()


def choosing(arguments: Sequence[str], chooses: Sequence[str], abbreviates: bool = False) -> list[str]:
    """The arguments that begin with one of these, alone, with `=`, a short one also with its value attached,
    or (where it has a space) together with the next. What follows `--` is text."""
    own = [*(arguments[: arguments.index("--")] if "--" in arguments else arguments)]
    return [
        one
        for one, after in zip_longest(own, own[1:], fillvalue="")
        if any(_says(one, after, flag, abbreviates) for flag in chooses)
    ]


def _says(one: str, after: str, flag: str, abbreviates: bool) -> bool:
    flag, _, value = flag.partition(" ")
    name, equals, attached = one.partition("=")
    if len(flag) == 2 and one.startswith(flag) and one != flag:
        name, equals, attached = flag, "=", one.removeprefix(flag).removeprefix("=")
    same = name == flag or (abbreviates and len(name) > len("--") and flag.startswith(name))
    return same and (attached if equals else after).strip().startswith(value)


def compact(value: object) -> str:
    """JSON in one line; a string of it is a TOML string and a YAML scalar as well."""
    return json.dumps(value, ensure_ascii=False)


def pretty(value: object) -> str:
    """JSON as a file."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def expected(way: Target) -> Expected:
    """What the other end sees, if all is well."""
    return Expected(way.url, way.model, way.endpoint.auth)
