"""The errors that our own calls raise. Every message ends with what to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..values.plain_text import plain


class HoldfastError(Exception):
    """The base of all our errors. `what` is the bare sentence, `details` are the lines below it, `next_step`
    is what to run now. `exit_code` is that of the command line."""

    exit_code = 1

    def __init__(self, what: str, *, details: Iterable[str] = (), next_step: str = "") -> None:
        self.what, self.details, self.next_step = plain(what), tuple(map(plain, details)), plain(next_step)
        super().__init__(message_of(self.what, self.details, self.next_step))

    def message(self, otherwise: str) -> str:
        """Return all lines of the error; the last is its next step, or `otherwise`."""
        return message_of(self.what, self.details, self.next_step or otherwise)

    def facts(self) -> dict[str, Any]:
        """Return the facts beyond the sentence, as JSON values for programs."""
        return {}

    def described(self, otherwise: str) -> dict[str, Any]:
        """Return the error as `--json` prints it: kind, sentence, command, exit code, and its facts."""
        kind, run = type(self).__name__.lstrip("_"), self.next_step or otherwise
        described = {"kind": kind, "what": self.what, "run": run, "exit_code": self.exit_code}
        return described | {name: fact for name, fact in self.facts().items() if fact}


def message_of(what: str, details: Iterable[str], next_step: str) -> str:
    """Return the lines that people read: what happened, its details, and what to run."""
    lines = [what, *details]
    if next_step:
        lines.append(f"run: {next_step}")
    return "\n  ".join(lines)


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a configuration: the key's path, what is wrong, how to correct it, and where it is written
    (`holdfast.toml:12`)."""

    path: str
    what: str
    fix: str = ""
    location: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.what}"
        if self.location:
            text = f"{self.location}: {text}"
        if self.fix:
            text += f"\n    {self.fix}"
        return text

    def values(self) -> dict[str, str]:
        """Return the mistake as JSON values."""
        return {"path": self.path, "what": self.what, "fix": self.fix, "place": self.location}


class ConfigError(HoldfastError):
    """Something that the user wrote is wrong. `problems` holds every mistake, not only the first."""

    exit_code = 2

    def __init__(
        self, what: str, *, problems: Sequence[Problem] = (), details: Iterable[str] = (), next_step: str = ""
    ) -> None:
        self.problems = tuple(problems)
        super().__init__(what, details=[*map(str, problems), *details], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        if not self.problems:
            return {}
        return {"problems": [problem.values() for problem in self.problems]}


class IdentityError(ConfigError):
    """A name, endpoint or key that is not valid where it is used."""


class WrongDialect(IdentityError):
    """A provider or key has no endpoint that speaks what is asked of it."""


class SecretMissing(ConfigError):
    """A key's value cannot be read. `tried` lists each source with its reason, and no secret."""

    def __init__(self, what: str, *, tried: Sequence[str] = (), next_step: str = "") -> None:
        self.tried = tuple(tried)
        super().__init__(what, details=[f"tried {source}" for source in tried], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        if not self.tried:
            return {}
        return {"tried": list(self.tried)}


class ConnectionLost(HoldfastError):
    """The chosen pin no longer resolves. `candidates` are what the user could mean; none is chosen."""

    exit_code = 3

    def __init__(self, what: str, *, candidates: Sequence[str] = (), next_step: str = "") -> None:
        self.candidates = tuple(candidates)
        super().__init__(what, details=[f"could be: {name}" for name in candidates], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"candidates": list(self.candidates)}

    def preferring(
        self, candidates: Iterable[str], more: str = "", next_step: str | None = None
    ) -> ConnectionLost:
        """Return the same error with these candidates before its own, `more` after its sentence, and another
        next step if one is given."""
        if next_step is None:
            next_step = self.next_step
        all_of_them = list(dict.fromkeys([*candidates, *self.candidates]))
        return type(self)(self.what + more, candidates=all_of_them, next_step=next_step)

    def about(self, session: str) -> ConnectionLost:
        """Return the same error with the session's name in its command."""
        return type(self)(
            self.what, candidates=self.candidates, next_step=self.next_step.replace("SESSION", session)
        )


class NoSession(ConnectionLost):
    """No session has this id."""


class UnknownModel(ConnectionLost):
    """A request names a model that no provider lists; `candidates` are near names."""


class AmbiguousModel(ConnectionLost):
    """A request names no model, or one that several providers list, where its session has none; `candidates`
    are those."""


class SignInEnded(SecretMissing):
    """The sign-in behind a key is over: no renewal will succeed, and its user must sign in again."""


class SourceSilent(SecretMissing):
    """The source of a key gives none now: a program failed, a keyring is locked, a file is being written. It
    is asked again from `retry_at` on (epoch seconds; None: at once; infinite: nobody knows)."""

    def __init__(
        self, what: str, *, tried: Sequence[str] = (), next_step: str = "", retry_at: float | None = None
    ) -> None:
        self.retry_at = retry_at
        super().__init__(what, tried=tried, next_step=next_step)


class NotRenewed(SourceSilent):
    """The sign-in behind a key could not be renewed now: the service that renews it does not answer. The next
    request asks again."""


class CannotHandOver(HoldfastError):
    """A harness cannot carry this connection; the message says what it speaks and what the endpoint has."""

    exit_code = 2


class ModelDropped(HoldfastError):
    """A model answered that was not chosen."""


class StoreError(HoldfastError):
    """The store cannot be opened, read or written; nothing was changed."""

    exit_code = 2


class NotReady(HoldfastError):
    """A provider that a program sets up cannot be used yet, or not now. `reason` is for machines
    (docs/reference/provisioning.md lists them); `retry_at` (epoch seconds) is when the next attempt may be
    made, None when time alone changes nothing. A gateway answers 503."""

    exit_code = 4

    def __init__(
        self,
        what: str,
        *,
        reason: str,
        retry_at: float | None = None,
        details: Iterable[str] = (),
        next_step: str = "",
    ) -> None:
        self.reason, self.retry_at = reason, retry_at
        super().__init__(what, details=details, next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"reason": self.reason, "retry_at": self.retry_at}
