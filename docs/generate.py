"""Writes the parts of docs/errors.md that the code decides: what Holdfast does, says and answers for each class of fault.

python docs/generate.py --write     bring the document up to date
python docs/generate.py --check     exit 1 if it is not
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from holdfast.core.explain import NEXT, WHAT, since
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Dialect
from holdfast.core.recovery import FINAL, NEVER_WORKED, NO_KEY_SENT, ONCE_MORE, RULES, UNKNOWN_5XX, Rule
from holdfast.outward import outward

DOCUMENT = Path(__file__).with_name("errors.md")
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
RESTS = {
    Scope.KEY: "rests the key at this URL",
    Scope.KEY_MODEL: "rests the key with this model",
    Scope.ACCOUNT: "rests the account (else the key) at this URL",
    Scope.MODEL: "prefers another rung of your ladder to this model",
    Scope.ENDPOINT: "prefers another rung of your ladder to this URL",
}
# The cases in which another row than that of the class governs (core.recovery.rule_for).
SPECIAL: dict[FaultClass, tuple[tuple[str, Rule], ...]] = {
    FaultClass.AUTH_REJECTED: (("no key was sent", NO_KEY_SENT), ("the key never worked here", NEVER_WORKED), ("the verdict is final", FINAL)),
    FaultClass.AUTH_EXPIRED: (("the verdict is final", FINAL),),
    FaultClass.TRANSIENT: (("the request may have been processed", ONCE_MORE),),
    FaultClass.UNKNOWN: (("the status is 500 or more", UNKNOWN_5XX),),
}
COMMANDS = {
    "run": "holdfast",
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
        ("lets a rung of your ladder stand in", rule.stand_in),
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
    openai, anthropic = outward(Fault(kind)), outward(Fault(kind), Dialect.ANTHROPIC_MESSAGES)
    lines = [f"- Holdfast {deeds(RULES[kind])}."]
    lines += [f"- When {case}, it {deeds(rule)}." for case, rule in SPECIAL.get(kind, ())]
    for case, what in [(case, what) for one, case, what in WHAT if one is kind]:
        said, step = (text.format_map(Shown(COMMANDS)) for text in (what, NEXT.get(case, NEXT[kind])))
        lines.append(f"- It says{f' ({case})' if case else ''}: “{said}” “{step}”")
    lines.append(
        f"- Clients get {openai.status} `{openai.openai_type}` / `{openai.openai_code}` (OpenAI), {anthropic.status} `{anthropic.anthropic_type}` (Anthropic)."
    )
    return "\n".join(lines) + "\n"


def generated(text: str) -> str:
    """The document with every generated part as the code has it today."""
    return BLOCK.sub(lambda match: f"{match[1]}{block(FaultClass(match[2]))}{match[3]}", text)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = generated(before)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif after != before:
        sys.stderr.write("docs/errors.md is not what the code says: python docs/generate.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
