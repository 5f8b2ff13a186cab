"""Keys as other programs write them: a variable, a value, a text made of both, or something that is no key.

How a text is read is decided here for all importers:

    reader = KeyReader(environ, set_by=dotenv, dotenv_path="…/.env")
    reader.variable("CORP_KEY")                              the name of a variable
    reader.text("${X}", Syntax.BRACES, at="config.yaml")     a text in which the program replaces references
    reader.literal("sk-…", at="config.yaml")                 a text that the program takes as it is

Each returns a FoundKey, or a NoKey with the reason, which the builder tells. Nothing here prints a text: it
may be a key, also where the name of a variable belongs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from ..values.secret import Secret, redact
from .placeholders import is_placeholder, why_no_key

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RANDOM_PART = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{6,}|(?=.*\d)(?=.*[A-Za-z]).{13,}|[A-Za-z]{33,}")
_FIRST_PART_OF_KEYS = frozenset(("sk", "pk", "rk", "gsk", "xai", "hf", "ghp", "gho", "nvapi", "tp"))
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^'\"\\]+", re.DOTALL)
_IN_DOUBLE_QUOTES = re.compile(r"[`$]")
_BARE_SHELL = re.compile(r"[|&;<>()`$*?{\n]|(?:\A|\s)~|\A\s*[A-Za-z_]\w*=")
"""What only a shell understands: pipes, lists, redirections, substitutions, variables, patterns, homes,
assignments; inside double quotes, substitutions and variables."""


class Pairing(StrEnum):
    """Tells how a key came to its provider: the other program's files write it there; we found it by itself,
    by the name of its variable; or the program would look for it, because its files name no key."""

    WRITTEN = "written"
    FOUND = "found"
    USUAL = "usual"


class Syntax(Enum):
    """Names the ways to write a reference to a variable in a text, each with its pattern."""

    BRACES = r"\$\{([A-Za-z_]\w*)\}"
    DOLLAR = r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))"
    ENV_BRACES = r"\{env:([^}]+)\}"
    OS_ENVIRON = r"\Aos\.environ/(.+)"


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key of another program's entry: the reference by which we could read it too, or its value, or both (a
    variable that only their file sets). `location` says where the value was read. `seen` is the value that
    the reference has now, kept only to look at its first characters and to compare it. `url` is where the
    files send this key, if that is another address than its provider's."""

    ref: str = ""
    secret: Secret | None = None
    label: str = "imported"
    location: str = ""
    seen: Secret | None = field(default=None, compare=False, repr=False)
    url: str = ""
    pairing: Pairing = Pairing.WRITTEN

    @property
    def identities(self) -> tuple[object, ...]:
        """Return what is equal for two mentions of one key: its reference, and its value where it is
        known."""
        return tuple(what for what in (self.ref, self.secret, self.seen) if what)

    def by_name(self) -> FoundKey:
        """Return the key as one that was found by itself, paired with its provider by no file."""
        return replace(self, pairing=Pairing.FOUND)


@dataclass(frozen=True, slots=True)
class NoKey:
    """A reason why something in the place of a key is none; "" for nothing there. The reason quotes nothing
    that could be a key. `placeholder` says that it is visibly meant as none."""

    why: str = ""
    placeholder: bool = False


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text with its references replaced. `names` are the variables in it, `missing` those that are not
    set."""

    text: str
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Return why the text is not known; "" when it is."""
        if not self.missing:
            return ""
        return f"the variable {' and '.join(self.missing)} is not set here"


@dataclass(frozen=True, slots=True)
class KeyReader:
    """Reads keys as a program would: `environ`, and the variables that a file of its own sets (`set_by`, read
    at `set_at`). `own_first` says that the file's value wins over the environment's."""

    environ: Mapping[str, str]
    set_by: Mapping[str, str] = field(default_factory=dict, repr=False)
    set_at: str = ""
    own_first: bool = False

    def variables(self) -> dict[str, str]:
        """Return all variables as the program sees them."""
        if self.own_first:
            return {**self.environ, **self.set_by}
        return {**self.set_by, **self.environ}

    def value(self, name: str) -> str:
        """Return the value of a variable as the program sees it, "" for none."""
        first, second = self.environ, self.set_by
        if self.own_first:
            first, second = second, first
        return first.get(name, "").strip() or second.get(name, "").strip()

    def expand(self, text: str, syntax: Syntax) -> Expanded:
        """Replace the references of a text; those that are not set stay as they are."""
        names: list[str] = []
        missing: list[str] = []

        def replaced(match: re.Match[str]) -> str:
            name = next(filter(None, match.groups())).strip()
            names.append(shown_name(name))
            value = self.value(name)
            if not value:
                missing.append(shown_name(name))
                return match[0]
            return value

        pattern = re.compile(syntax.value, re.ASCII)
        result = pattern.sub(replaced, text)
        return Expanded(result, tuple(names), tuple(missing))

    def variable(self, name: str) -> FoundKey | NoKey:
        """Return the key in a variable: of the environment, else of the file that sets it; without a
        reference where the file's value wins and the environment has another. What cannot be the name of a
        variable may be a key, and is not shown."""
        if not name:
            return NoKey()
        if not self._is_name(name):
            return NoKey(
                "what is written there is not the name of a variable, and is not shown: it may be a key"
            )
        key = FoundKey(f"env:{name}", label=name)
        value, own = self.environ.get(name, "").strip(), self.set_by.get(name, "").strip()
        if value and (value == own or not (self.own_first and own)):
            return replace(key, seen=_secret_of(value))
        in_file = self.literal(own, at=self.set_at, label=name)
        if isinstance(in_file, NoKey):
            if own:
                return in_file  # the program would send it, and no other key of this name
            return key
        if value and value != own:
            return in_file  # the environment has another key under this name
        return replace(in_file, ref=key.ref)

    def found(self, name: str) -> FoundKey | NoKey:
        """Return the key in a variable that no file pairs with a provider; NoKey for one that is not set, or
        whose value is visibly no key."""
        value = self.value(name)
        why = why_no_key(value)
        if not value:
            return NoKey()
        if why:
            return NoKey(f"the value of {name} {why}", placeholder=is_placeholder(value))
        key = self.variable(name)
        if isinstance(key, NoKey):
            return key
        return key.by_name()

    def text(self, text: str, syntax: Syntax, *, at: str, label: str = "imported") -> FoundKey | NoKey:
        """Return the key in a text: the variable that it names, or its value with the references replaced."""
        text = text.strip()
        match = re.fullmatch(syntax.value, text, re.ASCII)
        if match is not None:
            return self.variable(next(filter(None, match.groups())).strip())
        expanded = self.expand(text, syntax)
        if expanded.missing:
            return NoKey(f"it is made of variables, and {expanded.why_not}")
        if not expanded.names:
            return self.literal(text, at=at, label=label)
        return self.literal(
            expanded.text, at=f"{' and '.join(expanded.names)}, as {at} writes it", label=label
        )

    def literal(self, text: str, *, at: str, label: str = "imported") -> FoundKey | NoKey:
        """Return the key whose value is in a file."""
        text = text.strip()
        if not text:
            return NoKey()
        why, secret = why_no_key(text), _secret(text)
        if why or secret is None:
            return NoKey(f"its text {why or 'cannot be sent in a header'}", placeholder=is_placeholder(text))
        return FoundKey("", secret, label, at)

    def _is_name(self, name: str) -> bool:
        if name in self.environ or name in self.set_by:
            return _NAME.fullmatch(name) is not None
        return may_be_shown(name)


def may_be_shown(name: str) -> bool:
    """Return whether a text is the name of a variable, and not a key that somebody wrote in its place."""
    if not _NAME.fullmatch(name) or redact(name) != name:
        return False
    first, *others = name.split("_")
    if first in _FIRST_PART_OF_KEYS:
        return False
    return not any(map(_RANDOM_PART.fullmatch, (first, *others)))


def looks_secret(text: str) -> bool:
    """Return whether a text, such as the value of a header, may be or hold a secret."""
    if redact(text, limit=len(text) + 1) != text or "$" in text or "{" in text:
        return True
    return any(map(_RANDOM_PART.fullmatch, re.split(r"[^A-Za-z0-9]+", text)))


def shown_name(name: str) -> str:
    """Return the name of a variable for a message; words in its place when it may be a key."""
    if may_be_shown(name):
        return name
    return "(a name that is not shown)"


def command_key(command: str) -> FoundKey | NoKey:
    """Return the key that a command prints; NoKey for one that only a shell understands, because we start
    commands without one, and for one with a key in it, because commands are shown."""
    printable = "".join(filter(str.isprintable, command))
    if redact(printable, limit=len(printable) + 1) != printable:
        return NoKey("its command has a key in it, and is not shown: keep that key in a file or a variable")
    parts = [match[0] for match in _QUOTED.finditer(command)]
    if len("".join(parts)) < len(command) or any(map(_needs_shell, parts)):
        return NoKey(
            "its command needs a shell, and Holdfast starts commands without one: put it in a script"
        )
    return FoundKey(f"cmd:{command}")


def _needs_shell(part: str) -> bool:
    """Return whether a quoted, escaped or plain part of a command means something to a shell only."""
    if part.startswith(("'", "\\")):
        return False
    if part.startswith('"'):
        return _IN_DOUBLE_QUOTES.search(part) is not None
    return _BARE_SHELL.search(part) is not None


def _secret_of(value: str) -> Secret | None:
    """Return the value of a variable if it may be a key."""
    if why_no_key(value):
        return None
    return _secret(value)


def _secret(value: str) -> Secret | None:
    try:
        return Secret(value)
    except ValueError:
        return None
