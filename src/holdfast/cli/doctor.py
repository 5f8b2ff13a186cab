"""`holdfast doctor`: find faults without asking a provider, each with the command that repairs it."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from urllib.parse import urlsplit

import click

from .._files import quoted
from ..core.config import Config
from ..core.errors import ConfigError, HoldfastError
from ..core.identity import Endpoint, Key, Provider
from ..core.known_hosts import more_dialects
from ..core.secret import redact
from ..distribution import DISTRIBUTION, namesake, without_namesake_command
from ..store.base import Store
from .context import CliContext
from .doctor_files import Finding, files, integrity, moved
from .endpoints import misplaced, step_for
from .output import clock, count, json_option, say, show_json

_SKEW = 60.0
_LOCAL_NAMES = (".local", ".lan", ".internal", ".home.arpa", ".test", ".localhost")


@click.command()
@click.option(
    "--set-aside", is_flag=True, help="Move an unreadable store out of the way. Nothing is deleted."
)
@json_option
@click.pass_context
def command(ctx: click.Context, set_aside: bool, as_json: bool) -> None:
    """Check configuration, keys and store, and suggest fixes.

    Looks at files, addresses, sessions and the clock, too. No provider is asked. Exit 1 if something is
    wrong.

    \b
    Example:
      holdfast doctor
    """
    examination = _Examination(ctx.obj)
    findings = [*(moved(ctx.obj) if set_aside else ()), *examination.findings()]
    wrong = sum(finding.level == "wrong" for finding in findings)
    if as_json:
        show_json({"ok": not wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            say(f"{finding.level:<5}  {finding.check:<8}  {finding.what}")
            if finding.run:
                say(f"{'':17}run: {finding.run}")
        say("", f"{wrong} wrong" if wrong else "Nothing is wrong.")
    ctx.exit(1 if wrong else 0)


class _Examination:
    """The examination of one home. What cannot be read is a finding, and what depends on it is left out."""

    def __init__(self, context: CliContext) -> None:
        self.context = context

    def findings(self) -> Iterator[Finding]:
        yield from self.versions()
        yield from files(self.context)
        yield from self.configuration()
        yield from self.addresses()
        yield from self.keys()
        yield from integrity(self.context, self.config)
        yield from self.sessions()
        yield from self.verdicts()
        yield from self.connected()
        yield from self.time()
        yield from self.gateway()

    @cached_property
    def config(self) -> Config | None:
        try:
            return self.context.config
        except HoldfastError:
            return None

    @cached_property
    def store(self) -> Store | None:
        try:
            return self.context.memory
        except HoldfastError:
            return None

    def versions(self) -> Iterator[Finding]:
        import sqlite3
        from importlib.metadata import PackageNotFoundError, version

        def of(name: str) -> str:
            try:
                return f"{name} {version(name)}"
            except PackageNotFoundError:
                return f"{name} not installed"

        known = ", ".join(map(of, ("httpx2", "httpx", "openai", "anthropic", "click")))
        python = sys.version.partition(" ")[0]
        yield Finding(
            "versions", "ok", f"{of(DISTRIBUTION)}, Python {python}, SQLite {sqlite3.sqlite_version}, {known}"
        )
        if other := namesake():
            what = (
                f"another package, 'holdfast' {other}, is installed too and holds modules of the same names"
            )
            yield Finding("versions", "wrong", what, without_namesake_command())

    def configuration(self) -> Iterator[Finding]:
        try:
            config = self.context.config
        except ConfigError as error:
            if not error.problems:
                yield Finding("config", "wrong", error.what, error.next_step)
            for problem in error.problems:
                where = f"{problem.place}: " if problem.place else ""
                line = problem.place.partition(":")[2].partition(":")[0] or "1"
                is_command = problem.fix.startswith("holdfast ")
                more = f"; {problem.fix}" if problem.fix and not is_command else ""
                step = (
                    problem.fix
                    if is_command
                    else f"${{EDITOR:-vi}} +{line} {quoted(self.context.home.config)}"
                )
                yield Finding("config", "wrong", f"{where}{problem.path}: {problem.what}{more}", step)
        except HoldfastError as error:
            yield Finding("config", "wrong", error.what, error.next_step)
        else:
            fallbacks = count(len(config.fallbacks), "fallback")
            yield Finding("config", "ok", f"{count(len(config.providers), 'provider')}, {fallbacks}")

    def addresses(self) -> Iterator[Finding]:
        """Find public addresses without encryption, and hosts that are known to speak more dialects."""
        if self.config is None:
            return
        for provider in self.config.providers.values():
            own = (endpoint for key in provider.keys for endpoint in key.endpoints)
            for endpoint in dict.fromkeys((*provider.endpoints, *own)):
                if endpoint.origin.startswith("http:") and _is_public(endpoint):
                    what = f"provider '{provider.name}' sends keys and prompts in the clear to {endpoint.url}"
                    yield Finding("address", "wrong", what, self.edit(f"write https://{endpoint.host}…"))
            more = more_dialects(self.config.known_at, provider)
            if more is not None:
                what = f"provider '{provider.name}': {more.what}"
                yield Finding("address", "note", what, f"{more.command}   (adds it)")

    def keys(self) -> Iterator[Finding]:
        """Read each key, from programs and keyrings too."""
        if self.config is None:
            return
        for provider in self.config.providers.values():
            for key in provider.keys:
                yield from self.key(provider, key)

    def key(self, provider: Provider, key: Key) -> Iterator[Finding]:
        """Read one key, and look at where it would go."""
        try:
            self.context.vault.secret(key)
            note = self.context.vault.note(key)
        except HoldfastError as error:
            reasons = "; ".join(error.details)
            what = f"{error.what}: {reasons}" if reasons else error.what
            yield Finding("key", "wrong", what, error.next_step)
            return
        name = f"key '{key.label}' of provider '{provider.name}'"
        if key.ref.startswith("cmd:") and redact(key.ref, limit=len(key.ref)) != key.ref:
            what = f"the command of {name} seems to hold a secret or an address: {redact(key.ref)}"
            step = self.edit("let the command read it from where it is kept")
            yield Finding("key", "note", what, step)
        wrong = misplaced(self.context, provider, key)
        if wrong is not None:
            what = f"{name} may be in the wrong place: {wrong.what}"
            yield Finding("key", "note", what, step_for(provider, key, wrong))
        if note:
            what, _, step = note.partition(": ")
            yield Finding("key", "wrong", what, step)
        else:
            yield Finding("key", "ok", f"'{key.label}' of provider '{provider.name}' can be read")

    def edit(self, hint: str) -> str:
        """Return the command that edits the configuration, with what to do there."""
        return f"${{EDITOR:-vi}} {quoted(self.context.home.config)}   ({hint})"

    def sessions(self) -> Iterator[Finding]:
        from .session import rows, view

        if self.store is None or self.config is None:
            return
        try:
            views = [view(self.config, row) for row in rows(self.store)]
        except HoldfastError:
            return  # a damaged store has been reported
        for shown in views:
            if not shown["resumes"]:
                what = f"'{shown['id']}' on {shown['pin']} would not resume: {shown['why_not']}"
                if shown["candidates"]:
                    what += f"; it could be: {', '.join(shown['candidates'])}"
                yield Finding("session", "wrong", what, shown["run"])
        if all(shown["resumes"] for shown in views):
            yield Finding("session", "ok", f"{count(len(views), 'session')} would resume")

    def verdicts(self) -> Iterator[Finding]:
        """Find keys that have a cooldown now."""
        if self.store is None or self.config is None:
            return
        try:
            now = self.store.now()
            active = [cooldown for cooldown in self.store.cooldowns() if cooldown.until > now]
            if not active:
                return
            pepper = self.context.vault.pepper()
            keys = [key for provider in self.config.providers.values() for key in provider.keys]
            for key in keys:
                mark = self.context.vault.fingerprint(key, pepper)
                about = (f"key:{mark}@", f"account:{key.provider}:{key.account}@")
                for one in active:
                    if one.subject.startswith(about):
                        what = f"key '{key.label}' of provider '{key.provider}': {one.fault.kind} until "
                        until = clock(one.until) if one.until != float("inf") else "it changes"
                        yield Finding(
                            "verdict", "note", what + until, f"holdfast key reset {key.provider} {key.label}"
                        )
        except HoldfastError:
            return

    def connected(self) -> Iterator[Finding]:
        """Compare the programs that `connect` pointed to the gateway with what it wrote."""
        from .connect import alarms

        for name, drifted in alarms(self.context):
            step = f"holdfast connect {name}   (writes it again; holdfast disconnect {name} removes it)"
            yield (
                Finding("connect", "wrong", drifted, step)
                if drifted
                else Finding("connect", "ok", f"{name} is connected to the gateway")
            )

    def gateway(self) -> Iterator[Finding]:
        """Find what `holdfast serve` would refuse."""
        from ..core.config import Listen

        if self.config is None:
            return
        settings = self.config.gateway
        try:
            Listen.parse(settings.listen).check(public=settings.public)
        except ConfigError as error:
            step = self.edit('write listen = "127.0.0.1:4141", or public = true')
            yield Finding("gateway", "wrong", error.what, step)
        else:
            yield Finding("gateway", "ok", f"holdfast serve would listen on {settings.listen}")

    def time(self) -> Iterator[Finding]:
        """Find a clock that was set back: cooldowns then last too long."""
        if self.store is None:
            return
        try:
            latest = max((event.at for event in self.store.journal(limit=1)), default=0.0)
            ahead = latest - self.store.now()
        except HoldfastError:
            return
        if ahead > _SKEW:
            yield Finding(
                "clock",
                "wrong",
                f"the journal ends {ahead:.0f} s in the future: the clock was set back, "
                "or another machine's is ahead",
                "date",
            )
        else:
            yield Finding("clock", "ok", clock(self.store.now()))


def _is_public(endpoint: Endpoint) -> bool:
    """Tell whether a host is outside the user's own network, as far as its name shows."""
    host = urlsplit(endpoint.url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_NAMES)
