"""`python -m bench profile`: where the gateway's CPU time goes, by function and by file.

py-spy samples the process from outside, so that what is looked at runs as it always does. Without `--pid` our
gateway is started and loaded as in the comparison; with it, a running one is watched under whatever load it
has."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen

from ..measure import progress
from . import cache, compare, load
from .load import LOADS, Load
from .peers import EVERYBODY

_HERE = f"{Path(__file__).parents[2]}/"
_FRAME = re.compile(r"^(?P<function>.+?) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
_WAITING = re.compile(
    r";(?:Condition\.wait|wait|_wait_for_tstate_lock) \([^;]*threading\.py[^;]*\)|;_worker \([^;]*futures/thread\.py[^;]*\)(?!.*\.py)"
)
"""Threads that have nothing to do; py-spy cannot always tell."""

_LEAST = 0.01
"""Functions with less than this share of the samples are only counted in their file."""
_WIDEST, _ALL = 60, 0.7
"""How many functions are told with what they call; who is in nearly every sample only calls the others."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Samples by file, and in each by function: the time spent in a function itself. `within` counts what it
    calls too."""

    total: int
    files: Mapping[str, Counter[str]]
    within: Counter[str]


def main(arguments: Sequence[str]) -> int:
    """Sample, and print the shares."""
    options = _options(arguments)
    wanted = next(one for one in LOADS if one.name == options.load)
    try:
        with tempfile.TemporaryDirectory() as place:
            stacks = Path(place, "stacks.txt")
            if options.pid:
                _sample(options.pid, stacks, options.seconds, native=options.native)
            else:
                print(_of_ours(replace(wanted, seconds=options.seconds + 1.0), stacks, native=options.native))
            print(report(read(stacks.read_text("utf-8"))))
    except (cache.NotInstalled, compare.NotStarted) as reason:
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pid", type=int, help="a running gateway; without it one is started and loaded")
    parser.add_argument(
        "--load",
        choices=[one.name for one in LOADS],
        default="c128",
        help="the load that it is given (default c128)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument(
        "--native",
        action="store_true",
        help="tell C functions apart as well (the loop, the parser, system calls); costs more",
    )
    return parser.parse_args(arguments)


def _of_ours(wanted: Load, stacks: Path, *, native: bool) -> str:
    """Start our gateway, load it, sample it meanwhile; tells what a request cost."""
    compare.more_files()
    with load.provider() as (ports, _), compare.running(EVERYBODY["holdfast"], ports) as gateway:
        program = gateway.program
        assert program is not None
        load.send(replace(wanted, seconds=1.0), gateway.target(wanted.mode))
        progress("sampling")
        before = program.cpu()
        with _sampling(program.pid, stacks, wanted.seconds - 1.0, native=native):
            seen = load.send(wanted, gateway.target(wanted.mode))
        used = program.cpu() - before
    progress("")
    of, count = ("chunk", seen.chunks) if wanted.streams else ("request", seen.requests)
    cost = f"{used.total * 1e6 / max(1, count):.1f} µs CPU a {of}, {used.user / max(used.total, 1e-9):.0%} of it in user space"
    return f"{wanted.title}: {cost} ({count:,} served while being sampled)\n"


def _sample(pid: int, stacks: Path, seconds: float, *, native: bool) -> None:
    with _sampling(pid, stacks, seconds, native=native):
        progress("sampling")
    progress("")


@contextmanager
def _sampling(pid: int, stacks: Path, seconds: float, *, native: bool) -> Iterator[None]:
    """Sample meanwhile, 400 times a second, all processes and threads. Raises `cache.NotInstalled` when
    py-spy may not look."""
    spy = cache.python_with("py-spy", "py-spy").parent / "py-spy"
    argv = [
        str(spy),
        "record",
        "--pid",
        str(pid),
        "--subprocesses",
        "--rate",
        "400",
        "--native" if native else "--nonblocking",
    ]
    argv += [
        "--format",
        "raw",
        "--function",
        "--duration",
        str(max(1, round(seconds))),
        "--output",
        str(stacks),
    ]
    with (
        stacks.with_suffix(".log").open("w+", encoding="utf-8") as log,
        Popen(argv, stdout=log, stderr=log) as child,
    ):
        yield
        if child.wait() or not stacks.exists():
            log.seek(0)
            said = log.read().strip()
            raise cache.NotInstalled(
                f"py-spy could not look at {pid}: {said[-300:]} (it may need root, or kernel.yama.ptrace_scope = 0)"
            )


def read(text: str) -> Shares:
    """py-spy's raw stacks: frames from the outermost on, separated by semicolons, and how often the stack was
    seen."""
    files: defaultdict[str, Counter[str]] = defaultdict(Counter)
    within: Counter[str] = Counter()
    total = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit() or _WAITING.search(stack):
            continue
        frames = [_frame(one) for one in stack.split(";")]
        file, function = frames[-1]
        files[file][function] += int(count)
        within.update(
            {f"{name} ({where})": int(count) for where, name in set(frames) if where.endswith(".py")}
        )
        total += int(count)
    return Shares(total, files, within)


def _frame(text: str) -> tuple[str, str]:
    """The file and the function of one frame."""
    found = _FRAME.match(text)
    return (_short(found["file"]), found["function"]) if found else ("?", text)


def _short(file: str) -> str:
    """A file by the name that it has in its project."""
    return re.sub(r"^.*/(?:site-packages|lib/python[\d.]+|src)/", "", file.removeprefix(_HERE))


def report(shares: Shares) -> str:
    """Files by their share with the functions in them that matter, and then functions with all that they
    call."""
    lines = [f"{shares.total:,} samples. Time in a function itself:", ""]
    for file, functions in sorted(shares.files.items(), key=lambda one: -one[1].total()):
        if functions.total() < _LEAST * shares.total:
            continue
        lines.append(f"{functions.total() / shares.total:6.1%}  {file}")
        lines += [
            f"        {count / shares.total:6.1%}  {name}"
            for name, count in functions.most_common()
            if count >= _LEAST * shares.total
        ]
    lines += ["", "Time in a function and in what it calls:", ""]
    lines += [
        f"{count / shares.total:6.1%}  {name}"
        for name, count in shares.within.most_common(_WIDEST)
        if count < shares.total * _ALL
    ]
    return "\n".join(lines)
