"""The property of sign-ins: whatever renews, signs in, signs out, puts an older file back, fills the disk or
kills a process, in whichever order, the refresh token in the file is the newest one that the service gave for
the newest sign-in, and none is spent twice.

Each renewal is taken apart: it begins, it is answered at the service, and it is kept. Anything may happen
between. The service's rule is the strictest: a second use of a refresh token ends its sign-in."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from hypothesis import Phase, settings, strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from credentials.desk import NOW
from holdfast.core.errors import ConfigError
from holdfast.credentials.oauth_source import OAuthSource
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.credentials.sources import Unreadable
from holdfast.credentials.token_answers import TokenAnswer
from holdfast.values.secret import Secret

WHICH = strategies.integers(0, 1)


class Killed(BaseException):
    """The end of a process, where it stands."""


class Service:
    """Gives sign-ins and renews them; each refresh token works once."""

    def __init__(self) -> None:
        self.logins = self.number = 0
        self.newest: dict[str, str] = {}
        self.owner: dict[str, str] = {}
        self.reused: set[str] = set()

    def sign_in(self) -> tuple[str, str]:
        self.logins += 1
        return f"login-{self.logins}", self._token(f"login-{self.logins}")

    def renew(self, refresh: str) -> TokenAnswer:
        login = self.owner[refresh]
        if self.newest[login] != refresh:
            self.reused.add(login)
            return TokenAnswer(400, b'{"error": "invalid_grant"}')
        token = self._token(login)
        body = f'{{"access_token": "at-{token}", "refresh_token": "{token}", "expires_in": 100}}'
        return TokenAnswer(200, body.encode())

    def _token(self, login: str) -> str:
        self.number += 1
        token = f"rt-{self.number:05}"
        self.newest[login], self.owner[token] = token, login
        return token


class Renewing:
    """A renewal in a thread of its own, which stops before it asks the service and before it gets the
    answer."""

    def __init__(self, process: Process) -> None:
        self.steps = [threading.Event(), threading.Event()]
        self.stopped = [threading.Event(), threading.Event(), threading.Event()]
        process.renewing = self
        self.process, self.asked = process, ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self._until(0)

    def _run(self) -> None:
        with suppress(Unreadable, ConfigError, Killed):
            self.process.source.renew()
        self.process.renewing = None
        for stopped in self.stopped:
            stopped.set()

    def ask(self, _: str, refresh: Secret) -> TokenAnswer:
        self.asked = refresh.reveal()
        self._stop(0)
        answer = self.process.world.service.renew(self.asked)
        self._stop(1)
        if self.process.dead:
            raise Killed
        return answer

    def _stop(self, step: int) -> None:
        self.stopped[step].set()
        assert self.steps[step].wait(20)

    def _until(self, step: int) -> None:
        assert self.stopped[step].wait(20)

    def go(self) -> None:
        """Go on to the next stop, or to the end."""
        step = 0 if not self.steps[0].is_set() else 1
        self.steps[step].set()
        self._until(step + 1)
        if step == 1:
            self.thread.join(20)

    def end(self) -> None:
        for step in self.steps:
            step.set()
        self.thread.join(20)


class Process:
    """A process that renews, with a copy of the code's memory of its own."""

    def __init__(self, world: Interleavings, path: Path) -> None:
        self.world, self.dead = world, False
        self.renewing: Renewing | None = None
        self.source = OAuthSource("corp", SecretsFile(path), self._ask, lambda: world.now)

    def _ask(self, name: str, refresh: Secret) -> TokenAnswer:
        assert self.renewing is not None
        return self.renewing.ask(name, refresh)


class Interleavings(RuleBasedStateMachine):
    """Two processes, one through a link to the other's file, and whatever may happen to that."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT"))
        base = Path(self.directory.name)
        (base / "other").mkdir()
        self.path, link = base / "secrets.toml", base / "other" / "secrets.toml"
        link.symlink_to(self.path)
        self.now, self.service = NOW, Service()
        self.processes = [Process(self, self.path), Process(self, link)]
        self.paths = [self.path, link]
        self.backup: bytes | None = None
        self.login = ""
        self.lost: set[str] = set()
        self.forgotten = False
        self.sign_in()

    # --- what happens ---

    @rule()
    def sign_in(self) -> None:
        login, token = self.service.sign_in()
        grant = Grant(login, 0, Secret(f"at-{token}"), Secret(token), self.now - 100, self.now)
        SecretsFile(self.path).put_grant("corp", grant)
        self.login, self.forgotten, self.backup = login, False, None

    @precondition(lambda self: bool(self.login))
    @rule()
    def sign_out(self) -> None:
        SecretsFile(self.path).put_grant("corp", None)
        self.login, self.backup = "", None

    @rule(number=WHICH)
    def a_process_begins_to_renew_or_goes_on(self, number: int) -> None:
        process = self.processes[number]
        if process.renewing is None:
            self.now += 200  # the token has ended, and so has each rest
            Renewing(process)
        else:
            process.renewing.go()

    @rule(number=WHICH)
    def a_process_renews_at_once(self, number: int) -> None:
        process = self.processes[number]
        self.a_process_begins_to_renew_or_goes_on(number)
        while process.renewing is not None:
            process.renewing.go()

    @rule(number=WHICH)
    def a_process_is_killed(self, number: int) -> None:
        process = self.processes[number]
        under_way = process.renewing
        process.dead = True
        if under_way is not None:
            if not under_way.steps[0].is_set():  # its request is on the way all the same
                under_way.go()
            # The answer is lost with the process: nothing can keep it.
            self.lost.add(self.service.owner[under_way.asked])
            under_way.end()
        self.processes[number] = Process(self, self.paths[number])
        self.forgotten = self.forgotten or not self._is_known()

    @precondition(lambda self: bool(self.login) and not self._under_way())
    @rule()
    def a_backup_is_made(self) -> None:
        self.backup = self.path.read_bytes()

    @precondition(lambda self: self.backup is not None and not self._under_way())
    @rule(nobody_runs=strategies.booleans())
    def the_backup_is_put_back(self, nobody_runs: bool) -> None:
        assert self.backup is not None
        if nobody_runs:
            self.a_process_is_killed(0)
            self.a_process_is_killed(1)
        self.path.write_bytes(self.backup)
        self.forgotten = self.forgotten or not self._is_known()

    @rule()
    def the_disk_is_full_for_a_step(self) -> None:
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with patch.object(os, "fsync", full):
            for process in self.processes:
                if process.renewing is not None:
                    process.renewing.go()
                    return
            Renewing(self.processes[0])

    def _under_way(self) -> bool:
        return any(process.renewing is not None for process in self.processes)

    # --- what holds ---

    @invariant()
    def the_file_has_the_newest_token_or_whoever_holds_it_puts_it_there(self) -> None:
        if self._under_way():
            return
        for process in self.processes:  # what could not be written, or was replaced by an older file
            with suppress(Unreadable, ConfigError):
                process.source._newest()
        grant = SecretsFile(self.path).grant("corp")
        if not self.login:
            assert grant is None
        elif self.login not in self.lost and not self.forgotten:
            assert grant is not None
            assert (grant.id, grant.refresh) == (self.login, Secret(self.service.newest[self.login]))
            assert not grant.ended

    def _is_known(self) -> bool:
        """Whether anybody has the newest token: not after an older file was put back while nobody ran who
        had it."""
        if not self.login:
            return True
        newest = Secret(self.service.newest[self.login])
        file = SecretsFile(self.path).grant("corp")
        memory = [process.source._unsaved or process.source._grant for process in self.processes]
        return any(grant is not None and grant.refresh == newest for grant in (file, *memory))

    @invariant()
    def no_token_is_spent_twice(self) -> None:
        assert self.service.reused <= self.lost

    def teardown(self) -> None:
        for process in self.processes:
            if process.renewing is not None:
                process.renewing.end()
        self.directory.cleanup()


def test_the_newest_token_of_the_newest_sign_in_stays_whatever_happens_in_between() -> None:
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=settings.default.max_examples // 2,
            stateful_step_count=25,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),  # to shorten an example takes minutes
        ),
    )
