"""Secrets that expire: keys from a program, a keyring or the calling program, and how long they are cached.

A token is renewed a little before it expires, so that none expires on the way to the provider; if possible,
earlier and in the background. What is printed or returned is never part of a message."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from ..core.changes import CLOCK_SLACK
from ..distribution import install_command
from ..values.secret import Secret, redact
from .printed_key import printed_key
from .sources import LONGEST, PASSING, Gone, Run, Silent, Unreadable, secret_of
from .token_answers import Tokens

DEFAULT_CACHE = 300.0
"""Seconds for which a key without an expiry is cached."""
_TIMEOUT = 10.0
"""Seconds that a program may take."""
_EARLY = 30.0
"""Seconds before its expiry from which a token is given to no new request."""
_AHEAD = 120.0
"""Seconds before its expiry from which a token is renewed in the background."""
RENEW_AGAIN = 15.0
"""Seconds between two attempts to renew in the background."""
_FIRST_REST, _LONGEST_REST = 0.5, 64.0
"""Seconds for which a silent source is not asked; doubled with each failure."""
_LONGEST_WANTED = 3_600.0
"""The most seconds for which a source is not asked because it wants that."""
_ENDED = 60.0
"""Seconds for which a key is used that has ended by this machine's clock."""
_NO_KEYRING = "NoKeyringError"
"""What the package raises on a machine without any keyring; whatever else it raises may pass."""

Fetch = Callable[[], tuple[str | Secret, float | None]]
"""Gets a new key: its value, and when it expires (epoch seconds; None: unknown). Raises Unreadable."""
Exchange = Callable[[str], Tokens]
"""Gets the access token of the workload of this name. Raises Unreadable."""


class Life(NamedTuple):
    """The life of a token, in epoch seconds: it is issued at `since`, renewed in the background from `due`,
    given to no new request from `until`, and expires at `ends`."""

    since: float
    due: float
    until: float
    ends: float

    @classmethod
    def of(cls, since: float, ends: float | None) -> Life:
        """Return the life of a token that was issued at `since`. One without an expiry is used until it is
        refused."""
        if ends is None:
            return cls(since, inf, inf, inf)
        span = ends - since
        return cls(since, ends - min(_AHEAD, span * 0.75), ends - min(_EARLY, span / 2), ends)

    def holds(self, now: float) -> bool:
        """Return whether a new request may use the token. After a clock was set back it may not: the time
        that is left is unknown then."""
        return self.since - CLOCK_SLACK <= now < self.until


OVER = Life(0.0, 0.0, 0.0, 0.0)


class Rest:
    """The rest of a source that was silent, so that not every request asks it. A clock that is set back ends
    the rest; times are epoch seconds."""

    def __init__(self) -> None:
        self._since = self._until = self._length = 0.0
        self._silence = Silent("")

    def check(self, now: float) -> None:
        """Raise Silent during the rest."""
        if self._since <= now < self._until:
            raise Silent(str(self._silence), self._silence.retry_at)

    def begin(self, now: float, silence: Silent) -> float:
        """Begin a rest, longer than the one before, and as long as the source wants it, up to an hour. Return
        its end, which becomes the time from which the source is asked again unless it has one."""
        self._length = min(self._length * 2 or _FIRST_REST, _LONGEST_REST)
        self._since, self._until, self._silence = now, now + self._length, silence
        if silence.retry_at is not None and silence.retry_at < inf:
            self._until = max(self._until, min(silence.retry_at, now + _LONGEST_WANTED))
        if silence.retry_at is None:
            silence.retry_at = self._until
        return self._until

    def end(self) -> None:
        """Note that the source gave an answer."""
        self._since = self._until = self._length = 0.0


class CachedSource:
    """A secret that is slow to get and is cached until it expires: `cmd:`, `keyring:` and `call:`. `ahead` is
    called when it is time to renew it in the background, at most every 15 s; it should call `renew`. While
    the source gives none, the last secret is used as long as it is not known to have expired."""

    def __init__(
        self, fetch: Fetch, clock: Callable[[], float], ahead: Callable[[], None] = lambda: None
    ) -> None:
        self._fetch, self._clock, self._ahead = fetch, clock, ahead
        self._life, self._due = OVER, 0.0
        self._secret: Secret | None = None
        self._rest = Rest()
        self._late = 0.0

    def peek(self) -> Secret | None:
        now = self._clock()
        if self._secret is None or not self._life.holds(now):
            return None
        if now >= self._due:
            self._due = now + RENEW_AGAIN
            self._ahead()
        return self._secret

    def read(self, refused: Secret | None = None) -> Secret:  # noqa: ARG002
        return self.renew()

    def renew(self) -> Secret:
        """Get a new secret; the old one is kept when that fails. Raises Unreadable."""
        self._rest.check(self._clock())
        try:
            value, ends = self._fetch()
            secret = value if isinstance(value, Secret) else secret_of(value)
        except Gone:
            raise
        except Silent as silence:
            self._go_on(silence)
            raise
        except Unreadable as reason:
            if self._secret is not None and self._clock() < self._life.ends:
                self._go_on(Silent(str(reason)))
            raise
        now = self._clock()
        self._rest.end()
        self._late = 0.0
        if ends is None:
            self._life = Life(now, inf, now + DEFAULT_CACHE, inf)
        elif ends <= now:  # the provider's clock decides, not ours
            self._life, self._late = Life(now, inf, now + _ENDED, inf), now - ends
        else:
            self._life = Life.of(now, ends)
        self._secret, self._due = secret, self._life.due
        return secret

    def _go_on(self, silence: Silent) -> None:
        """Let the source rest, and let the last secret be used meanwhile if it may still be good."""
        now = self._clock()
        until = self._rest.begin(now, silence)
        life, least = self._life, now
        if life.holds(now):
            least = life.until
        if now < life.ends:
            longer = max(least, min(until, life.ends))
            self._life = life._replace(since=min(life.since, now), until=longer)

    def note(self) -> str:
        if not self._late:
            return ""
        return (
            f"the key that it gave ended {self._late:.0f} s ago by this machine's clock, which may be wrong:"
            " date -u"
        )

    def ends(self) -> float | None:
        """Return when the cached secret expires (epoch seconds); None when there is none or it is unknown."""
        if self._secret is None or self._life.ends == inf:
            return None
        return self._life.ends


def command_output(command: str, path: str, run: Run, clock: Callable[[], float]) -> tuple[str, float | None]:
    """Return the key that a program prints, bare or as JSON (with a `path`, at that place in it), and its
    expiry. Raises Unreadable."""
    import shlex

    try:
        argv = shlex.split(command)
        code, out, err = run([os.path.expanduser(argv[0]), *argv[1:]], _TIMEOUT)
    except (ValueError, IndexError):
        raise Unreadable("not a command line: a quote is not closed, or there is no program") from None
    except TimeoutError:
        raise Silent(f"gave no answer within {_TIMEOUT:.0f} s", inf) from None
    except OSError as error:
        kind = Silent if error.errno in PASSING else Unreadable
        raise kind(f"could not be started: {error.strerror or type(error).__name__}") from None
    if len(out) > LONGEST:
        raise Unreadable(f"printed more than {LONGEST} bytes")
    if code != 0:
        raise Silent(f"exit code {code}{_first_line(err)}")
    return printed_key(out.decode("utf-8-sig", "replace"), path, clock())


def _first_line(printed: bytes) -> str:
    """Return the first line that is not empty, redacted and after a colon; nothing if there is none."""
    for line in printed.decode(errors="replace").splitlines():
        if line.strip():
            return f": {redact(line.strip(), limit=200)}"
    return ""


def no_exchange(name: str) -> Tokens:
    """Refuse a workload: for a vault without a network."""
    raise Unreadable(f"the token of '{name}' cannot be asked for here")


def exchanged(name: str, exchange: Exchange, clock: Callable[[], float]) -> tuple[str | Secret, float | None]:
    """Return the access token of a workload, and its expiry. Raises Unreadable."""
    tokens = exchange(name)
    if tokens.access is None:
        raise Unreadable("the token service gave no access token")
    if tokens.lives is None:
        return tokens.access, None
    return tokens.access, clock() + tokens.lives


def from_keyring(entry: str, load: Callable[[], Any]) -> tuple[str, float | None]:
    """Return the secret of `SERVICE/USER` in the system's keyring, and no expiry. Raises Unreadable."""
    service, _, user = entry.partition("/")
    try:
        keyring = load()
    except ImportError:
        command = install_command("keyring")
        raise Unreadable(f"the package 'keyring' is not installed; run: {command}") from None
    try:
        text = keyring.get_password(service, user)
    except Exception as error:  # a backend may raise anything, and its message may contain anything
        name = type(error).__name__
        kind = Unreadable if name == _NO_KEYRING else Silent
        raise kind(f"the keyring refused: {name}") from None
    if text is None:
        raise Gone(f"no entry: keyring set {service} {user}")
    return str(text), None


def load_keyring() -> Any:
    """Import the keyring package, when a reference first needs it."""
    import keyring

    return keyring
