"""What our own calls raise. The first branch says whose move it is; every message ends with what to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class HoldfastError(Exception):
    """Base of all errors of ours. `what` is the bare sentence, `details` are the lines below it, `next_step`
    is what to run now. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, what: str, *, details: Iterable[str] = (), next_step: str = "") -> None:
        self.what, self.details, self.next_step = what, tuple(details), next_step
        super().__init__(message_of(what, self.details, next_step))

    def message(self, otherwise: str) -> str:
        """Return all lines of the error; the last says to run `otherwise` where the error has no next
        step."""
        return message_of(self.what, self.details, self.next_step or otherwise)

    def facts(self) -> dict[str, Any]:
        """Return what the error's class knows beyond its sentence, as JSON values for programs."""
        return {}

    def described(self, otherwise: str) -> dict[str, Any]:
        """Return the error as `--json` prints it: kind, sentence, command, exit code, and facts that are not
        empty."""
        kind, run = type(self).__name__.lstrip("_"), self.next_step or otherwise
        told = {"kind": kind, "what": self.what, "run": run, "exit_code": self.exit_code}
        return told | {name: fact for name, fact in self.facts().items() if fact}


def message_of(what: str, details: Iterable[str], next_step: str) -> str:
    """Return the lines that people read: what happened, its details, and what to run."""
    last = [f"run: {next_step}"] if next_step else []
    return "\n  ".join([what, *details, *last])


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration: the key's path, what is wrong, how to mend it, and where it
    stands."""

    path: str
    what: str
    fix: str = ""
    place: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.path}: {self.what}" + (f"\n    {self.fix}" if self.fix else "")


class ConfigError(HoldfastError):
    """Something the user wrote cannot be. `problems` holds all of them, not the first."""

    exit_code = 2

    def __init__(
        self, what: str, *, problems: Sequence[Problem] = (), details: Iterable[str] = (), next_step: str = ""
    ) -> None:
        self.problems = tuple(problems)
        super().__init__(what, details=[*map(str, problems), *details], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"problems": [asdict(problem) for problem in self.problems]} if self.problems else {}


class IdentityError(ConfigError):
    """A name, endpoint or key stands where it cannot stand."""


class WrongDialect(IdentityError):
    """A provider or key has no endpoint that speaks what is asked of it."""


class SecretMissing(ConfigError):
    """A key's value cannot be read. `tried` lists each source with its reason; a secret is never part of
    it."""

    def __init__(self, what: str, *, tried: Sequence[str] = (), next_step: str = "") -> None:
        self.tried = tuple(tried)
        super().__init__(what, details=[f"tried {one}" for one in tried], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"tried": list(self.tried)} if self.tried else {}


class ConnectionLost(HoldfastError):
    """The chosen pin no longer resolves. `candidates` are what the user could mean; none of them was
    taken."""

    exit_code = 3

    def __init__(self, what: str, *, candidates: Sequence[str] = (), next_step: str = "") -> None:
        self.candidates = tuple(candidates)
        super().__init__(what, details=[f"could be: {one}" for one in candidates], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"candidates": list(self.candidates)}

    def about(self, session: str) -> ConnectionLost:
        """The same with the session's name in its command."""
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


class NotRenewed(SecretMissing):
    """The sign-in behind a key could not be renewed now: whoever renews it does not answer. The next request
    asks again."""


class CannotHandOver(HoldfastError):
    """A harness cannot carry this connection; the message says what it speaks and what the endpoint has."""

    exit_code = 2


class ModelDropped(HoldfastError):
    """Another model answered than the one that was chosen."""


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
