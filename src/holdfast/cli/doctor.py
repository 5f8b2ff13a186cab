"""`holdfast doctor`: find faults without a call to a provider, each with the command that repairs it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property

import click

from .._files import quoted
from ..core.changes import Cooldown, subject_prefixes
from ..core.config import Config
from ..core.errors import ConfigError, HoldfastError, Problem
from ..core.identity import Key, Provider
from ..core.known_hosts import more_dialects
from ..distribution import DISTRIBUTION, namesake, without_namesake_command
from ..engine.resting import Resting
from ..providers.known_addresses import other_dialect
from ..store.base import Store
from ..values.secret import redact
from .context import CliContext
from .doctor_files import Finding, check_files, check_store, check_trust, move_damaged_store
from .doctor_gateways import check_connected, check_gateways
from .doctor_sessions import check_sessions
from .endpoints import dialects_without_key, endpoints_of, is_public, misplaced, step_for
from .key_ends import ending
from .output import SETUP, clock, count, if_any, json_option, say, show_json
from .progress import waiting
from .references import in_this_shell, oddity_of

_MOST_SKEW = 60.0
"""Seconds by which the journal may end in the future."""


@click.command()
@click.option(
    "--set-aside", is_flag=True, help="Move an unreadable store out of the way. Nothing is deleted."
)
@json_option
@click.pass_context
def command(ctx: click.Context, set_aside: bool, as_json: bool) -> None:
    """Check configuration, keys and store, and suggest fixes.

    Also looks at files, addresses, sessions and the clock. No provider is called. Exit 1: something is wrong.

    \b
    Example:
      holdfast doctor
    """
    examination = _Examination(ctx.obj)
    findings: list[Finding] = []
    if set_aside:
        with waiting("looking at the store"):
            findings += move_damaged_store(ctx.obj)
    with waiting("looking at configuration, keys and store"):
        findings += examination.findings()
    wrong = sum(finding.level == "wrong" for finding in findings)
    if as_json:
        show_json({"ok": not wrong, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            say(f"{finding.level:<5}  {finding.check:<8}  {finding.what}")
            if finding.run:
                say(f"{'':17}run: {finding.run}")
        say("", f"{wrong} wrong" if wrong else "Nothing is wrong.")
    ctx.exit(int(wrong > 0))


class _Examination:
    """The checks of one home. A part that cannot be read is a finding; checks that need it are left out."""

    def __init__(self, context: CliContext) -> None:
        self.context = context

    def findings(self) -> Iterator[Finding]:
        """Yield the results of all checks."""
        yield from self.versions()
        yield from check_files(self.context, self.config)
        yield from self.configuration()
        yield from self.addresses()
        yield from check_trust(os.environ)
        yield from self.keys()
        yield from self.ends()
        yield from check_store(self.context, self.config)
        yield from self.sessions()
        yield from self.verdicts()
        yield from self.time()
        yield from self.gateways()

    @cached_property
    def config(self) -> Config | None:
        try:
            return self.context.config
        except HoldfastError:
            return None

    @cached_property
    def store(self) -> Store | None:
        """The store, to read it; None where there is none or it cannot be opened."""
        try:
            if not self.context.has_store:
                return None
            return self.context.existing_store
        except HoldfastError:
            return None

    def versions(self) -> Iterator[Finding]:
        """Name the versions of ourselves and of what we use; find a package with our import name."""
        import sqlite3

        packages = ", ".join(map(_version_of, ("httpx2", "httpx", "openai", "anthropic", "click")))
        python, sqlite = sys.version.partition(" ")[0], sqlite3.sqlite_version
        what = f"{_version_of(DISTRIBUTION)}, Python {python}, SQLite {sqlite}, {packages}"
        yield Finding("versions", "ok", what)
        other = namesake()
        if other:
            what = f"another package, 'holdfast' {other}, is installed too and has modules of the same names"
            yield Finding("versions", "wrong", what, without_namesake_command())

    def configuration(self) -> Iterator[Finding]:
        """Check that holdfast.toml can be read."""
        try:
            config = self.context.config
        except ConfigError as error:
            if not error.problems:
                yield Finding("config", "wrong", error.what, error.next_step)
            for problem in error.problems:
                yield self.problem(problem)
        except HoldfastError as error:
            yield Finding("config", "wrong", error.what, error.next_step)
        else:
            fallbacks = count(len(config.fallbacks), "fallback")
            level, step = ("ok", "") if config.providers else ("note", SETUP)
            yield Finding("config", level, f"{count(len(config.providers), 'provider')}, {fallbacks}", step)

    def problem(self, problem: Problem) -> Finding:
        """Return the finding of one problem in holdfast.toml: its fix is a command, or advice."""
        what = f"{if_any('{}: ', problem.location)}{problem.path}: {problem.what}"
        if problem.fix.startswith("holdfast "):
            return Finding("config", "wrong", what, problem.fix)
        line = problem.location.partition(":")[2].partition(":")[0] or "1"
        edit = f"${{EDITOR:-vi}} +{line} {quoted(self.context.home.config)}"
        return Finding("config", "wrong", f"{what}{if_any('; {}', problem.fix)}", edit)

    def addresses(self) -> Iterator[Finding]:
        """Find public addresses without encryption, and hosts that are known to speak more dialects."""
        if self.config is None:
            return
        for provider in self.config.providers.values():
            for endpoint in endpoints_of(provider):
                if endpoint.origin.startswith("http:") and is_public(endpoint):
                    what = f"provider '{provider.name}' sends keys and prompts unencrypted to {endpoint.url}"
                    yield Finding("address", "wrong", what, self.edit(f"write https://{endpoint.host}…"))
                other = other_dialect(self.config.known_at, endpoint)
                if other is not None:
                    command = f"holdfast provider endpoint {provider.name} {other.dialect}={endpoint.url}"
                    what = f"provider '{provider.name}': {other.what}"
                    yield Finding("address", "note", what, f"{command}   (replaces it)")
            more = more_dialects(self.config.known_at, provider)
            if more is not None:
                what = f"provider '{provider.name}': {more.what}"
                yield Finding("address", "note", what, f"{more.command}   (adds it)")

    def keys(self) -> Iterator[Finding]:
        """Read each key, also from programs and keyrings."""
        if self.config is None:
            return
        for provider in self.config.providers.values():
            for key in provider.keys:
                yield from self.key(provider, key)
            keyless = dialects_without_key(provider)
            if keyless:
                what = f"provider '{provider.name}' has no key for {', '.join(keyless)}"
                yield Finding("key", "note", what, f"holdfast key add {provider.name} --from env:NAME")

    def key(self, provider: Provider, key: Key) -> Iterator[Finding]:
        """Read one key, and look at where it would go."""
        try:
            secret = self.context.vault.secret(key)
            note = self.context.vault.note(key)
        except HoldfastError as error:
            reasons = if_any(": {}", "; ".join(error.details))
            yield Finding("key", "wrong", f"{error.what}{reasons}", error.next_step)
            return
        name = f"key '{key.label}' of provider '{provider.name}'"
        if key.ref.startswith("cmd:") and redact(key.ref, limit=len(key.ref)) != key.ref:
            what = f"the command of {name} seems to hold a secret or an address: {redact(key.ref)}"
            step = self.edit("let the command read it from where it is stored")
            yield Finding("key", "note", what, step)
        odd = oddity_of(secret)
        if odd:
            yield Finding("key", "note", f"{name} {odd}", f"holdfast check {provider.name}")
        wrong = misplaced(self.context, provider, key)
        if wrong is not None:
            what = f"{name} may be in the wrong place: {wrong.what}"
            yield Finding("key", "note", what, step_for(provider, key, wrong))
        if note:
            what, _, step = note.partition(": ")
            yield Finding("key", "wrong", what, step)
        else:
            whose = if_any("{} (a running gateway has its own environment)", in_this_shell(key.ref))
            yield Finding("key", "ok", f"'{key.label}' of provider '{provider.name}' can be read{whose}")

    def ends(self) -> Iterator[Finding]:
        """Find keys and sign-ins that end soon and do not renew themselves."""
        now = time.time()
        for soon in ending(self.context, now):
            yield Finding("end", "note", soon.what(now), soon.run)

    def edit(self, hint: str) -> str:
        """Return the command that edits the configuration, with what to do there."""
        return f"${{EDITOR:-vi}} {quoted(self.context.home.config)}   ({hint})"

    def sessions(self) -> Iterator[Finding]:
        """Find sessions that would not resume."""
        if self.store is not None and self.config is not None:
            with suppress(HoldfastError):  # `check_store` reports a damaged store
                yield from check_sessions(self.config, self.store)

    def verdicts(self) -> Iterator[Finding]:
        """Find keys that have a cooldown now."""
        if self.store is None or self.config is None:
            return
        try:
            now = self.store.now()
            active = [cooldown for cooldown in self.store.cooldowns() if not cooldown.over(now)]
            if not active:
                return
            pepper = self.context.vault.pepper()
            keys = [key for provider in self.config.providers.values() for key in provider.keys]
            resting = Resting(active)
            for key in keys:
                mark = self.context.vault.fingerprint(key, pepper)
                for cooldown in resting.beginning(subject_prefixes(mark, key)):
                    yield _cooling(key, cooldown)
        except HoldfastError:
            return

    def gateways(self) -> Iterator[Finding]:
        """Check the gateways that run, and the programs that are connected to one."""
        step = self.edit('write listen = "127.0.0.1:4141", or public = true')
        yield from check_connected(self.context)
        yield from check_gateways(self.context, self.config, step)

    def time(self) -> Iterator[Finding]:
        """Find a clock that was set back: cooldowns then last too long."""
        if self.store is None:
            return
        try:
            latest = max((event.at for event in self.store.journal(limit=1)), default=0.0)
            ahead = latest - self.store.now()
        except HoldfastError:
            return
        if ahead > _MOST_SKEW:
            future = f"the journal ends {ahead:.0f} s in the future"
            what = f"{future}: the clock was set back, or another machine's clock is ahead"
            yield Finding("clock", "wrong", what, "date")
        else:
            yield Finding("clock", "ok", clock(self.store.now()))


def _version_of(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def _cooling(key: Key, cooldown: Cooldown) -> Finding:
    """Return the finding of a key that has a cooldown now."""
    until = "it changes"
    if cooldown.until != float("inf"):
        until = clock(cooldown.until)
    model = cooldown.subject.partition("#")[2]
    about = f" for {model}" if model else ""
    what = f"key '{key.label}' of provider '{key.provider}': {cooldown.fault.kind}{about} until {until}"
    return Finding("verdict", "note", what, f"holdfast key reset {key.provider} {key.label}")
