"""`holdfast doctor`: everything that can be seen to be wrong without asking a provider, each with the command that mends it."""

from __future__ import annotations

import ipaddress
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..core.config import Config
from ..core.errors import ConfigError, HoldfastError, StoreError
from ..core.identity import Endpoint
from ..core.secret import redact
from ..store.base import Store
from ..vault.atomic import quoted
from .opened import Opened
from .output import clock, count, json_option, say, show_json

_SKEW = 60.0
_MYSELF = "holdfast doctor"
_SET_ASIDE = "holdfast doctor --set-aside   (moves it out of the way; nothing is deleted)"
_LOCAL_NAMES = (".local", ".lan", ".internal", ".home.arpa", ".test", ".localhost")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `level`: ok, note (worth knowing), wrong (makes doctor fail)."""

    check: str
    level: str
    what: str
    run: str = ""


@click.command()
@click.option("--set-aside", is_flag=True, help="Move a store that cannot be read out of the way. Nothing is deleted.")
@json_option
@click.pass_context
def command(ctx: click.Context, set_aside: bool, as_json: bool) -> None:
    """Look for what is wrong, and say what mends it.

    Files, configuration, keys, store, sessions and clock are looked at; no provider is asked. Exit 1 if something is wrong.

    \b
    Example:
      holdfast doctor
    """
    examination = _Examination(ctx.obj)
    findings = [*(examination.moved() if set_aside else ()), *examination.findings()]
    healthy = all(one.level != "wrong" for one in findings)
    if as_json:
        show_json({"ok": healthy, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            say(f"{one.level:<5}  {one.check:<8}  {one.what}" + (f"\n{'':17}run: {one.run}" if one.run else ""))
        say("", "nothing is wrong" if healthy else f"{sum(one.level == 'wrong' for one in findings)} wrong")
    ctx.exit(0 if healthy else 1)


class _Examination:
    """Looks at one home. What cannot be read is a finding, and what depends on it is left out."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def findings(self) -> Iterator[Finding]:
        yield self.versions()
        yield from self.files()
        yield from self.configuration()
        yield from self.addresses()
        yield from self.keys()
        yield from self.integrity()
        yield from self.sessions()
        yield from self.verdicts()
        yield from self.connected()
        yield from self.time()
        yield from self.gateway()

    @cached_property
    def config(self) -> Config | None:
        try:
            return self.opened.config
        except HoldfastError:
            return None

    @cached_property
    def store(self) -> Store | None:
        try:
            return self.opened.memory
        except HoldfastError:
            return None

    def moved(self) -> Iterator[Finding]:
        """The store out of the way, if it is beyond reading."""
        from ..store.dbfile import set_aside

        try:
            damaged = self._damage() if self.opened.has_database else ""
        except StoreError as error:
            damaged = error.what if error.next_step == _MYSELF and _beyond_reading(error) else ""
        if damaged:
            yield Finding("store", "note", f"{self.opened.database} was moved to {set_aside(self.opened.database)}, because {damaged}")

    def versions(self) -> Finding:
        import sqlite3
        from importlib.metadata import PackageNotFoundError, version

        def of(name: str) -> str:
            try:
                return f"{name} {version(name)}"
            except PackageNotFoundError:
                return f"{name} not installed"

        known = ", ".join(map(of, ("httpx2", "httpx", "openai", "anthropic", "click")))
        return Finding("versions", "ok", f"{of('holdfast')}, Python {sys.version.partition(' ')[0]}, SQLite {sqlite3.sqlite_version}, {known}")

    def files(self) -> Iterator[Finding]:
        """The home's files are the user's alone."""
        home = self.opened.home
        missing = _missing(home.config)
        if missing:
            yield Finding("home", "wrong", f"there is no {home.config}", "holdfast init")
        directories = dict.fromkeys((home.config.parent, home.state, home.secrets.parent))
        database = [self.opened.database.with_name(f"{self.opened.database.name}{end}") for end in ("", "-wal", "-shm")]
        files = [home.config, home.secrets, home.secrets.with_name("pepper"), *database]
        open_to_others = [finding for path in (*directories, *files) if (finding := _mode(path))]
        yield from open_to_others
        aside = [*self.opened.vault.file.quarantined(), *sorted(home.state.glob(f"{self.opened.database.name}.aside-*[0-9]"))]
        for path in aside:
            yield Finding("home", "note", f"{path} was set aside and is not read", f"rm {quoted(path)}   (once nothing in it is needed)")
        if not open_to_others and not missing:
            yield Finding("home", "ok", str(home.config.parent))

    def configuration(self) -> Iterator[Finding]:
        try:
            config = self.opened.config
        except ConfigError as error:
            if not error.problems:
                yield Finding("config", "wrong", error.what, error.next_step)
            for problem in error.problems:
                where = f"{problem.place}: " if problem.place else ""
                line = problem.place.partition(":")[2].partition(":")[0] or "1"
                is_command = problem.fix.startswith("holdfast ")
                more = f"; {problem.fix}" if problem.fix and not is_command else ""
                step = problem.fix if is_command else f"${{EDITOR:-vi}} +{line} {quoted(self.opened.home.config)}"
                yield Finding("config", "wrong", f"{where}{problem.path}: {problem.what}{more}", step)
        except HoldfastError as error:
            yield Finding("config", "wrong", error.what, error.next_step)
        else:
            yield Finding("config", "ok", f"{count(len(config.providers), 'provider')}, {count(len(config.ladders), 'ladder')}")

    def addresses(self) -> Iterator[Finding]:
        """A key and a prompt never cross a public network in the clear."""
        for provider in self.config.providers.values() if self.config is not None else ():
            for endpoint in dict.fromkeys((*provider.endpoints, *(one for key in provider.keys for one in key.endpoints))):
                if endpoint.origin.startswith("http:") and _is_public(endpoint):
                    step = f"${{EDITOR:-vi}} {quoted(self.opened.home.config)}   (write https://{endpoint.host}…)"
                    yield Finding("address", "wrong", f"provider '{provider.name}' sends keys and prompts in the clear to {endpoint.url}", step)

    def keys(self) -> Iterator[Finding]:
        """Each reference is followed, programs and keyrings too."""
        for provider in self.config.providers.values() if self.config is not None else ():
            for key in provider.keys:
                try:
                    self.opened.vault.secret(key)
                    note = self.opened.vault.note(key)
                except HoldfastError as error:
                    yield Finding("key", "wrong", ": ".join(filter(None, (error.what, "; ".join(error.details)))), error.next_step)
                else:
                    if key.ref.startswith("cmd:") and redact(key.ref, limit=len(key.ref)) != key.ref:
                        what = f"the command of key '{key.label}' of provider '{key.provider}' seems to hold a secret or an address: {redact(key.ref)}"
                        yield Finding(
                            "key", "note", what, f"${{EDITOR:-vi}} {quoted(self.opened.home.config)}   (let the command read it from where it is kept)"
                        )
                    what, _, step = note.partition(": ")
                    yield Finding("key", "wrong", what, step) if note else Finding("key", "ok", f"'{key.label}' of provider '{provider.name}' can be read")

    def integrity(self) -> Iterator[Finding]:
        if self.config is not None and not self.config.gateway.store.startswith("sqlite:"):
            yield from self._elsewhere()
            return
        if not self.opened.has_database:
            yield Finding("store", "ok", "nothing is remembered yet")
            return
        try:
            damage = self._damage()
        except StoreError as error:
            mend = _SET_ASIDE if _beyond_reading(error) else f"ls -la {quoted(self.opened.database.parent)}   (is it yours, and is there room?)"
            yield Finding("store", "wrong", error.what, error.next_step if error.next_step != _MYSELF else mend)
        else:
            yield Finding("store", "wrong", damage, _SET_ASIDE) if damage else Finding("store", "ok", str(self.opened.database))

    def _elsewhere(self) -> Iterator[Finding]:
        """A store that is no file of ours."""
        from ..store.memory import MemoryStore

        try:
            self.opened.store.revision()
        except HoldfastError as error:
            yield Finding("store", "wrong", error.what, error.next_step)
        else:
            kept = "the configuration keeps everything in memory: nothing outlives a process"
            yield Finding("store", "note", kept) if isinstance(self.opened.store, MemoryStore) else Finding("store", "ok", "the database answers")

    def _damage(self) -> str:
        """What SQLite says of the file's integrity; empty when all is well. Raises StoreError when it cannot be opened."""
        import sqlite3

        from ..store.sqlite import connect

        self.opened.store.revision()
        try:
            with closing(connect(self.opened.database)) as connection:
                said = [line for row in connection.execute("PRAGMA quick_check(5)") for line in str(row[0]).splitlines()]
        except sqlite3.DatabaseError as error:
            said = [str(error)]
        return "" if said == ["ok"] else f"the store {self.opened.database} is damaged: {'; '.join(said)}"

    def sessions(self) -> Iterator[Finding]:
        from .session import rows, view

        if self.store is None or self.config is None:
            return
        try:
            views = [view(self.config, one) for one in rows(self.store)]
        except HoldfastError:
            return  # a damaged store has been told
        for one in views:
            if not one["resumes"]:
                yield Finding("session", "wrong", f"'{one['id']}' on {one['pin']} would not resume: {one['why_not']}", one["run"])
        if all(one["resumes"] for one in views):
            yield Finding("session", "ok", f"{count(len(views), 'session')} would resume")

    def verdicts(self) -> Iterator[Finding]:
        """Keys that are answered for from memory now."""
        if self.store is None or self.config is None:
            return
        try:
            now = self.store.now()
            active = [one for one in self.store.cooldowns() if one.until > now]
            if not active:
                return
            pepper = self.opened.vault.pepper()
            keys = [key for provider in self.config.providers.values() for key in provider.keys]
            for key in keys:
                mark = self.opened.vault.fingerprint(key, pepper)
                about = (f"key:{mark}@", f"account:{key.provider}:{key.account}@")
                for one in active:
                    if one.subject.startswith(about):
                        what = f"key '{key.label}' of provider '{key.provider}': {one.fault.kind} until "
                        until = clock(one.until) if one.until != float("inf") else "it changes"
                        yield Finding("verdict", "note", what + until, f"holdfast key reset {key.provider} {key.label}")
        except HoldfastError:
            return

    def connected(self) -> Iterator[Finding]:
        """Programs that `connect` pointed to the gateway still say so."""
        from .connect import alarms

        for name, drifted in alarms(self.opened):
            step = f"holdfast connect {name}   (writes it anew; holdfast disconnect {name} takes it back)"
            yield Finding("connect", "wrong", drifted, step) if drifted else Finding("connect", "ok", f"{name} knows the gateway")

    def gateway(self) -> Iterator[Finding]:
        """What `holdfast serve` would refuse or lack."""
        from importlib.util import find_spec

        from ..gateway.listen import Listen

        if self.config is None:
            return
        settings = self.config.gateway
        try:
            Listen.parse(settings.listen).check(public=settings.public)
        except ConfigError as error:
            step = f'${{EDITOR:-vi}} {quoted(self.opened.home.config)}   (write listen = "127.0.0.1:4141", or public = true)'
            yield Finding("gateway", "wrong", error.what, step)
        else:
            yield Finding("gateway", "ok", f"holdfast serve would listen on {settings.listen}")
        if find_spec("httptools") is None:
            yield Finding("gateway", "note", "holdfast serve needs the package 'httptools'", "pip install 'holdfast[gateway]'")

    def time(self) -> Iterator[Finding]:
        """A clock that was set back keeps verdicts longer than they were given."""
        if self.store is None:
            return
        try:
            latest = max((event.at for event in self.store.journal(limit=1)), default=0.0)
            ahead = latest - self.store.now()
        except HoldfastError:
            return
        if ahead > _SKEW:
            yield Finding("clock", "wrong", f"the journal ends {ahead:.0f} s in the future: the clock was set back, or another machine's is ahead", "date")
        else:
            yield Finding("clock", "ok", clock(self.store.now()))


def _missing(path: Path) -> bool:
    """Whether there is no such file; one that we may not look at is not missing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _beyond_reading(error: StoreError) -> bool:
    """Whether the file itself is at fault. One that is locked, full, read-only or hidden from us is as good as it was."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return error.__cause__ is None or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))


def _mode(path: Path) -> Finding | None:
    """A file that others may read, a directory that they may enter (worse: write), or that we may not write."""
    try:
        status = path.stat()
    except OSError:
        return None
    mode, directory = stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode)
    if status.st_uid != os.getuid():
        return Finding("home", "wrong", f"{path} belongs to another user", f"ls -ld {quoted(path)}")
    if directory and not os.access(path, os.W_OK | os.X_OK):
        return Finding("home", "wrong", f"{path} cannot be written: nothing can be remembered", f"chmod 700 {quoted(path)}")
    if not mode & 0o077:
        return None
    level = "wrong" if not directory or mode & 0o022 else "note"
    return Finding("home", level, f"{path} is open to others (mode {mode:04o})", f"chmod {0o700 if directory else 0o600:o} {quoted(path)}")


def _is_public(endpoint: Endpoint) -> bool:
    """Whether the way to a host leads over networks that are not its user's, as far as its name tells."""
    host = urlsplit(endpoint.url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_NAMES)
