"""A machine on which two programs share a home for sixty simulated days, its user, and what may be said of
each turn that is not answered."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx2

from holdfast.config import Home
from holdfast.core.errors import NotReady
from holdfast.core.identity import ProviderName
from holdfast.credentials import Vault
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.engine.opening import build_engine
from holdfast.engine.token_service import renewals, take_over
from holdfast.engine.workload_identity import exchanges
from holdfast.sdk.api import Holdfast
from holdfast.sdk.transport import bind
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import Secret
from weeks.furniture import CONFIG, ENVIRON, HOSTS, LITE, PINS, ROLES
from weeks.services import KEY, Clock, Services

_SLACK = 5.0


@dataclass
class Program:
    """One program that has the home open, and the work that it does beside its requests."""

    held: Holdfast
    beside: list[Callable[[], None]]


class Machine:
    """The machine, its user and two programs."""

    def __init__(self, home: Path) -> None:
        self.home, self.clock = home, Clock()
        self.began = self.clock.true
        self.services = Services(self.clock)
        self.programs: dict[str, Program] = {}
        self.turns: Counter[str] = Counter()
        self.refused: list[str] = []
        self.needs_operator = self.operated = False
        self.jitter = Random(0)
        self.log: list[str] = []
        self.saved: Path | None = None
        self.messages: list[str] = []
        (home / "holdfast.toml").write_text(CONFIG.format(home=home))
        self.platform_writes()
        self.file_is_rotated()
        self.sign_in()

    # What programs, platform and user do.

    def program(self, name: str) -> Holdfast:
        """The program of this name, started if it does not run."""
        if name not in self.programs:
            self.programs[name] = self._started()
        return self.programs[name].held

    def _started(self) -> Program:
        home, beside = Home.at(self.home), list[Callable[[], None]]()
        vault: Vault = Vault(
            home.secrets,
            environ=ENVIRON,
            refresh=renewals(home),
            exchange=exchanges(home, lambda: vault, clock=self.clock),
            run=self._run,
            clock=self.clock,
            background=beside.append,
        )
        store = SqliteStore(home.state / "state.db", clock=self.clock)
        held = Holdfast(build_engine(home, vault=vault, store=store, environ=ENVIRON))
        held.engine._jitter = held.failback._jitter = self.jitter.random
        held.failback._clock = lambda: self.clock.true
        held.failback._reachable = lambda endpoint: self.is_well(endpoint.host)
        return Program(held, beside)

    def _run(self, argv: Sequence[str], seconds: float) -> tuple[int, bytes, bytes]:
        """What the helper prints: its key, until when it is good, by the time of its issuer."""
        if not self.is_well("program"):
            return 1, b"", b"the vault is locked"
        key, end = self.services.tool.current()
        return 0, json.dumps({"token": key, "expires_at": end}).encode(), b""

    def stop(self, name: str) -> None:
        """The program ends in good order."""
        if name in self.programs:
            self.programs.pop(name).held.close()

    def kill(self, name: str) -> None:
        """The program is killed: what it had not stored is lost."""
        if name in self.programs:
            held = self.programs.pop(name).held
            held.engine.journal_writer._worker._queue.clear()
            held.close()

    def back_up(self) -> None:
        """Keep a copy of the home; no program has it open then."""
        self._stop_all()
        self.saved = self.home.with_name("saved")
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.home, self.saved)

    def restore(self, name: str) -> None:
        """Put one file of the copy back."""
        self._stop_all()
        if self.saved is not None and (self.saved / name).exists():
            shutil.copy2(self.saved / name, self.home / name)
            self.log.append(f"{self.when()} {name} is restored")

    def _stop_all(self) -> None:
        for name in list(self.programs):
            self.stop(name)

    def sign_in(self) -> None:
        """`holdfast key login corp`."""
        tokens, now = self.services.sign_ins.sign_in(), self.clock()
        number = self.services.sign_ins.number
        access, refresh = Secret(tokens["access_token"]), Secret(tokens["refresh_token"])
        grant = Grant(f"g{number}", 0, access, refresh, now, now + tokens["expires_in"])
        take_over(SecretsFile(self.home / "secrets.toml", self.clock), "corp", grant)

    def platform_writes(self) -> None:
        """The platform writes a new assertion."""
        self._write("assertion", self.services.workloads.assertion())

    def file_is_rotated(self) -> None:
        self._write("key", self.services.filed.current()[0])

    def _write(self, name: str, text: str) -> None:
        draft = self.home / f"{name}.new"
        draft.write_text(text + "\n")
        draft.chmod(0o600)
        draft.replace(self.home / name)

    def rest(self, seconds: float) -> None:
        """Let time pass; the platform, the rotation of the file and the proxy's admin do their part."""
        end = self.clock.true + seconds
        while self.clock.true < end:
            self.clock.sleep(min(900.0, end - self.clock.true))
            if self.is_well("platform"):
                self.platform_writes()
            if self.is_well("disk"):
                self.file_is_rotated()
            if self.is_well("admin"):
                self.services.proxy.models.setdefault("claude-sonnet-4-5", "chat")
                for key in self.services.proxy.keys.values():
                    key.blocked, key.budget = False, None

    # Turns, and what may be said of them.

    def turn(self, name: str, session: str) -> None:
        """One request of a session in one of the programs."""
        began, held = self.clock.true, self.program(name)
        pin = PINS.get(session) or self._provisioned(held, began)
        if pin is not None:
            self._ask(held, session, pin, began)
        if session in ("proxy", "backed"):
            assert held.provisioning.jobs.settle()
            assert held.failback.jobs.settle()
        if self.needs_operator:
            self.needs_operator = False
            self._operator(held)
        for program in self.programs.values():
            if self.jitter.random() < 0.7:  # else the background has not come to it yet
                while program.beside:
                    program.beside.pop(0)()

    def _ask(self, held: Holdfast, session: str, pin: str, began: float) -> None:
        opened = held.session(session, pin)
        if str(opened.pin) != pin:
            opened.switch(pin)
        transport = bind(httpx2).SyncTransport(
            held.engine, opened.id, inner=self.services, bounds=opened._bounds(), sleep=self.clock.sleep
        )
        url, body = "http://holdfast.invalid/v1/chat/completions", {"model": opened.model, "messages": []}
        self.turns[session] += 1
        try:
            with httpx2.Client(transport=transport) as client:
                response = client.post(url, json=body)
                text = response.read().decode()
        except httpx2.TransportError as error:
            self._judge(session, began, None, str(error))
            return
        if response.status_code != 200:
            fault = response.headers.get("holdfast-fault")
            self._judge(session, began, response.status_code, f"{fault}: {text}")

    def _provisioned(self, held: Holdfast, began: float) -> str | None:
        """The pin of the provisioned model, None while there is none."""
        consent = None if (self.home / "asked").exists() else "the user"
        try:
            ready = held.ensure_ready("lite", ROLES, consent=consent, patience=0, **LITE)
            (self.home / "asked").touch()
            self.operated = False
            return str(ready.pin("answer"))
        except NotReady as refused:
            self.turns["proxy"] += 1
            self._judge("proxy", began, 503, f"{refused.reason}: {refused}")
        return None

    def _reset(self, provider: str) -> None:
        """`holdfast key reset` for the keys of a provider: the command that the refusal names."""
        engine = next(iter(self.programs.values())).held.engine
        for key in engine.config().providers[ProviderName(provider)].keys:
            engine.store.forget(engine.fingerprint(key) or "")

    def _is_signed_in(self) -> bool:
        """Whether the refresh token in the file is one with which the service renews."""
        grant = SecretsFile(self.home / "secrets.toml", self.clock).grant("corp")
        return grant is not None and grant.refresh == Secret(self.services.sign_ins.refresh)

    def _operator(self, held: Holdfast) -> None:
        """`holdfast provision verify`, then `--accept` if the key is dead indeed."""
        record = held.engine.store.provision("lite")
        assert record is not None
        record = held.provisioning.verify(record)
        if record.reason == "key_dead" and self.is_well("lite.example", "admin"):
            held.provisioning.provision(record, "the user", patience=0)

    def when(self) -> str:
        """The day, and by how many seconds the clock is wrong."""
        return f"day {(self.clock.true - self.began) / 86400:.3f} ({self.clock.ahead:+.0f} s)"

    def is_well(self, *hosts: str) -> bool:
        """Whether none of these has trouble now."""
        troubles = [self.services.trouble.get(host) for host in hosts]
        return all(trouble is None or trouble.until <= self.clock.true for trouble in troubles)

    def _judge(self, session: str, began: float, status: int | None, text: str) -> None:
        """A refusal has a reason in the world, is told for what it is, and shows no key."""
        self.messages.append(text)
        excuse = self._excuse(session, began)
        if not excuse and session == "pool" and "never worked" in text:
            self._reset("pool")
            excuse = "never worked, as a restored store has it"
        self.refused.append(f"{session}: {excuse}")
        assert excuse, f"{self.when()} {session} refused without a reason: {status} {text}\n{self.log[-12:]}"
        if excuse in ("login.example", "sts.example", "program"):
            assert status in (429, 503), f"{excuse} is silent, and that is told as {status}: {text}"

    def _excuse(self, session: str, began: float) -> str:
        """What in the world excuses a refusal; nothing if nothing does."""
        if session in ("sign-in", "backed") and not self._is_signed_in():
            self.sign_in()
            return "signed out"
        if session == "proxy" and not self.services.proxy.keys:
            self.needs_operator = True
            return "deleted there"
        operated, self.operated = self.operated, False
        for host in HOSTS[session]:
            trouble = self.services.trouble.get(host)
            if trouble is not None and began < trouble.until + trouble.after + _SLACK:
                return host
        if session == "proxy" and not operated:  # a key that was blocked before it worked is its operator's
            self.needs_operator = self.operated = True
            return "operator"
        return ""

    # What is left behind.

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = "session", "evidence", "cooldown", "lease", "models", "provision", "journal"
        with closing(sqlite3.connect(self.home / "state.db")) as database:
            counted = [database.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]
        return {table: count for table, (count,) in zip(tables, counted, strict=True)}

    def look_at_what_is_left(self) -> None:
        """What is stored is bounded by the keys and sessions that there are, and shows no key."""
        rows, values = self.rows(), len(HOSTS) + self.services.filed.number + self.services.proxy.minted
        assert rows["session"] <= len(PINS) + 1
        assert rows["provision"] == 1
        assert max(rows["evidence"], rows["lease"] - 10, rows["cooldown"] - 10) <= 2 * values, rows
        assert rows["models"] <= 10
        assert rows["journal"] <= 5 * sum(self.turns.values())
        shown = "\n".join([*self.messages, *self.log])
        for path in self.home.rglob("*"):
            if path.is_file() and path.name not in ("secrets.toml", "assertion", "key"):
                shown += path.read_bytes().decode("latin-1")
        assert set(KEY.findall(shown)) == set()
        assert len(list(self.home.rglob("*"))) < 40
