"""Write the parts of docs/reference/errors.md and docs/concepts/recovery.md that the code decides: what
Holdfast does, says and answers for each class of fault, its own errors and refusals, and the limits of recovery.

python docs/_generate/errors.py --write     bring the documents up to date
python docs/_generate/errors.py --check     exit 1 if one is not
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from holdfast.core.config import Limits
from holdfast.core.errors import HoldfastError
from holdfast.core.explain import NEXT, WHAT, since
from holdfast.core.faults import FaultClass, Scope
from holdfast.core.recovery_policy import (
    FINAL,
    NEVER_WORKED,
    NO_KEY_SENT,
    ONCE_MORE,
    RATE_PATIENCE,
    RULES,
    UNKNOWN_5XX,
    Rule,
)
from holdfast.core.retry_budget import Bucket
from holdfast.store.base import COOLDOWN_KEPT
from holdfast.wire.conversation import Bounds
from holdfast.wire.error_kinds import ERRORS, FAULTS, REFUSALS, ErrorKind

DOCS = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
RESTS = {
    Scope.KEY: "rests the key at this URL",
    Scope.KEY_MODEL: "rests the key with this model",
    Scope.ACCOUNT: "rests the account (else the key) at this URL",
    Scope.MODEL: "prefers a fallback of yours to this model",
    Scope.ENDPOINT: "prefers a fallback of yours to this URL",
}
# The cases in which another row than that of the class governs (core.recovery.rule_for).
SPECIAL: dict[FaultClass, tuple[tuple[str, Rule], ...]] = {
    FaultClass.AUTH_REJECTED: (
        ("no key was sent", NO_KEY_SENT),
        ("the key never worked here", NEVER_WORKED),
        ("the verdict is final", FINAL),
    ),
    FaultClass.AUTH_EXPIRED: (("the verdict is final", FINAL),),
    FaultClass.TRANSIENT: (("the request may have been processed", ONCE_MORE),),
    FaultClass.UNKNOWN: (("the status is 500 or more", UNKNOWN_5XX),),
}
COMMANDS = {
    "again": "holdfast key reset PROVIDER LABEL",
    "check": "holdfast check PIN",
    "choose": "holdfast session pin SESSION PROVIDER/MODEL",
    "models": "holdfast models --provider PROVIDER",
    "show": "holdfast provider show PROVIDER",
    "why": "holdfast why SESSION",
    "source": " (set in FILE:LINE)",
    "worked": "4 min",
}


class Shown(dict[str, str]):
    """What stands for a word of a message: its name in capitals where no example reads better."""

    def __missing__(self, name: str) -> str:
        return name.upper()


def deeds(rule: Rule) -> str:
    """A row of the recovery table in words, in the order in which the steps are taken."""
    told = [
        ("reads the key's reference again", rule.refresh),
        ("tests a key that worked here with one shared probe", rule.probe),
        (f"repeats up to {rule.retries} times (first after about {since(rule.base)})", rule.retries),
        ("uses another key of the same provider", rule.rotate),
        ("asks for the model list, for near names", rule.relist),
        ("uses a fallback of yours", rule.active_fallback),
        ("asks this key no more until its value or the URL changes", rule.barred),
        (f"{RESTS.get(rule.scope or Scope.REQUEST)} {rests(rule)}", rule.cool),
    ]
    return "; ".join(text for text, holds in told if holds) or "passes the answer on and leaves the key alone"


def rests(rule: Rule) -> str:
    if rule is RULES[FaultClass.QUOTA_WINDOW]:
        return f"until its reset, at most a day (unknown: {since(rule.cool[0])})"
    return f"for {', then '.join(since(one) for one in rule.cool)}"


def block(kind: FaultClass) -> str:
    """The generated part of one class."""
    seen = FAULTS[kind]
    lines = [f"- Holdfast {deeds(RULES[kind])}."]
    lines += [f"- When {case}, it {deeds(rule)}." for case, rule in SPECIAL.get(kind, ())]
    for case, what in [(case, what) for one, case, what in WHAT if one is kind]:
        said, step = (
            text.format_map(Shown(COMMANDS)) for text in (what, ": ".join(NEXT.get(case, NEXT[kind])))
        )
        lines.append(f"- It says{f' ({case})' if case else ''}: “{said}” “{step}”")
    lines.append(
        f"- Clients get {seen.status} `{seen.openai_type}` / `{seen.code}` (OpenAI), {seen.anthropic_status} `{seen.anthropic_type}` (Anthropic)."
    )
    return "\n".join(lines) + "\n"


SCOPES = {
    Scope.KEY: "the key at this URL",
    Scope.KEY_MODEL: "the key with this model",
    Scope.ACCOUNT: "the account, else the key",
    Scope.MODEL: "the model here (soft)",
    Scope.ENDPOINT: "the URL (soft)",
}


def row(case: str, rule: Rule) -> str:
    """One row of the overview: repeats, tests, other key, fallback, what rests."""
    rest = (
        f"{SCOPES[rule.scope]}: {'until it changes' if rule.barred else rests(rule).removeprefix('for ')}"
        if rule.scope is not None
        else ""
    )
    cells = (
        rule.retries or "",
        *("yes" if one else "" for one in (rule.probe, rule.refresh, rule.rotate, rule.active_fallback)),
        rest,
    )
    return f"| {case} | {' | '.join(map(str, cells))} |\n"


def rules() -> str:
    """The table of core.recovery, with the cases in which another row than that of the class governs."""
    head = "| class | repeats | shared probe | reads key again | other key | fallback | what rests, for how long |\n|---|---|---|---|---|---|---|\n"
    named = [(f"`{kind}`", rule) for kind, rule in RULES.items()]
    special = [(f"`{kind}`, {case}", rule) for kind, cases in SPECIAL.items() for case, rule in cases]
    return head + "".join(row(*one) for one in (*named, *special))


def limits() -> str:
    """How much one request may cost, and what a retry costs an endpoint."""
    costs, bounds = Limits(), Bounds()
    mebibyte = 1024 * 1024
    facts = {
        "sends for one request, all classes together; probes are not among them": costs.sends,
        "changes of the key for one request": costs.rotations,
        "waiting in all for one request": since(costs.wait_budget),
        "waits before the probes of a key that worked": ", ".join(since(one) for one in costs.probe_delays),
        "a key that worked counts as known-good for": f"{costs.known_good_days:g} days",
        "a throttled key is waited for, while a spare one is healthy, at most": since(RATE_PATIENCE),
        "retries that an endpoint has in reserve": f"{Bucket.SIZE:g}, +{Bucket.PER_SUCCESS:g} a success, +{Bucket.PER_SECOND:g} a second",
        "a request body that can be sent again": f"{bounds.replay // mebibyte} MiB",
        "a whole answer that is looked at before it is passed on": f"{bounds.whole // mebibyte} MiB",
        "a stream that has not begun its output is held back for": f"{since(bounds.peek_seconds)} or {bounds.peek // 1024} KiB",
        "a cool-down's level is remembered, after its end, for": f"{COOLDOWN_KEPT / 86400:g} days",
    }
    return "| what | how much |\n|---|---|\n" + "".join(
        f"| {what} | {much} |\n" for what, much in facts.items()
    )


DEFINE_ERRORS = ("holdfast.store.base", "holdfast.engine.login", "holdfast.importers.hermes_db")
OWN = "| class | status | type (OpenAI, Anthropic) | when |\n|---|---|---|---|\n"
REFUSED = "| class | status | type (OpenAI, Anthropic) | sentence | next step |\n|---|---|---|---|---|\n"


def columns(kind: ErrorKind) -> str:
    """Return the cells of a row that a client acts on; Anthropic's status only where it differs."""
    return f"| `{kind.name}` | {kind.status} | `{kind.openai_type}`, `{kind.anthropic_type}` |"


def own_errors() -> str:
    """Return the errors that our own calls raise, with the first sentence of what their classes say of
    themselves."""
    for module in DEFINE_ERRORS:
        import_module(module)
    when = {
        kind.__name__: " ".join((kind.__doc__ or "").split()).split(". ")[0]
        for kind in subclasses(HoldfastError)
    }
    rows = [f"{columns(kind)} `{name}`: {when[name].rstrip('.')} |\n" for name, kind in ERRORS.items()]
    return OWN + "".join(rows)


def subclasses(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    """Yield a class of errors and all classes below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def refusals() -> str:
    """Return what is refused or cut short without an exception."""
    rows: list[str] = []
    for refusal in REFUSALS.values():
        sentence, step = (
            text.format_map(Shown()) for text in (refusal.sentence, refusal.command or refusal.advice)
        )
        shown = f"`{step}`" if refusal.command else step
        rows.append(f"{columns(refusal.kind)} {sentence} | {shown} |\n")
    return REFUSED + "".join(rows)


def part_of_errors(name: str) -> str:
    """Return a generated part of errors.md: a table, or what is said of one class of faults."""
    tables = {"own_errors": own_errors, "refusals": refusals}
    if name in tables:
        return tables[name]()
    return block(FaultClass(name))


DOCUMENTS: dict[str, Callable[[str], str]] = {
    "reference/errors.md": part_of_errors,
    "concepts/recovery.md": lambda name: {"rules": rules, "limits": limits}[name](),
}


def generated(document: str, text: str) -> str:
    """The document with every generated part as the code has it today."""
    return BLOCK.sub(lambda match: f"{match[1]}{DOCUMENTS[document](match[2])}{match[3]}", text)


def main(arguments: list[str]) -> int:
    if arguments not in (["--write"], ["--check"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    stale = 0
    for document in DOCUMENTS:
        path = DOCS / document
        before = path.read_text(encoding="utf-8")
        after = generated(document, before)
        if arguments == ["--write"]:
            path.write_text(after, encoding="utf-8")
        elif after != before:
            stale = 1
            sys.stderr.write(
                f"docs/{document} is out of date; run: python docs/_generate/errors.py --write\n"
            )
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
