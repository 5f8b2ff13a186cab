"""`python -m bench profile`: the CPU time of the gateway by function and by file.

py-spy samples the process from outside, so that the gateway runs as usual. Without `--pid` our gateway is
started and loaded as in the comparison; with it, a running one is sampled under the load that it has.
"""

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
from .peers import PEERS

_HERE = f"{Path(__file__).parents[2]}/"
_FRAME = re.compile(r"^(?P<function>.+?) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
_WAITING = re.compile(
    r";(?:Condition\.wait|wait|_wait_for_tstate_lock) \([^;]*threading\.py[^;]*\)"
    r"|;_worker \([^;]*futures/thread\.py[^;]*\)(?!.*\.py)"
)
"""Stacks of threads that wait for work; py-spy cannot always recognise them."""

_LEAST = 0.01
"""Functions with less than this share of the samples count only in their file."""
_MOST, _ALL = 60, 0.7
"""The number of functions that are listed with their callees, and the share of samples above which a function
is left out, since it only calls the others."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Samples by file, and in each by function: the time in a function itself. `within` includes its
    callees."""

    total: int
    files: Mapping[str, Counter[str]]
    within: Counter[str]


def main(arguments: Sequence[str]) -> int:
    """Sample, and print the shares. Return the exit code."""
    options = _options(arguments)
    wanted = next(kind for kind in LOADS if kind.name == options.load)
    try:
        with tempfile.TemporaryDirectory() as folder:
            stacks = Path(folder, "stacks.txt")
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
    parser.add_argument("--pid", type=int, help="a running gateway; by default one is started and loaded")
    parser.add_argument(
        "--load",
        choices=[kind.name for kind in LOADS],
        default="c128",
        help="its load (default c128)",
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument(
        "--native",
        action="store_true",
        help="list C functions as well (the loop, the parser, system calls); costs more",
    )
    return parser.parse_args(arguments)


def _of_ours(wanted: Load, stacks: Path, *, native: bool) -> str:
    """Start our gateway, load it, and sample it meanwhile. Return the cost of a request as text."""
    compare.more_files()
    with load.provider() as (ports, _), compare.running(PEERS["holdfast"], ports) as gateway:
        program = gateway.program
        assert program is not None
        load.send(replace(wanted, seconds=1.0), gateway.target(wanted.mode))
        progress("sampling")
        before = program.cpu()
        with _sampling(program.pid, stacks, wanted.seconds - 1.0, native=native):
            seen = load.send(wanted, gateway.target(wanted.mode))
        used = program.cpu() - before
    progress("")
    unit, count = "request", seen.requests
    if wanted.streams:
        unit, count = "chunk", seen.chunks
    cost, share = used.total * 1e6 / max(1, count), used.user / max(used.total, 1e-9)
    text = f"{cost:.1f} µs CPU a {unit}, {share:.0%} of it in user space"
    return f"{wanted.title}: {text} ({count:,} served while being sampled)\n"


def _sample(pid: int, stacks: Path, seconds: float, *, native: bool) -> None:
    with _sampling(pid, stacks, seconds, native=native):
        progress("sampling")
    progress("")


@contextmanager
def _sampling(pid: int, stacks: Path, seconds: float, *, native: bool) -> Iterator[None]:
    """Sample all processes and threads meanwhile, 400 times a second.

    Raises `cache.NotInstalled` when py-spy has no permission.
    """
    spy = cache.environment_of("bench-py-spy") / "bin" / "py-spy"
    argv = [str(spy), "record", "--pid", str(pid), "--subprocesses", "--rate", "400"]
    argv += ["--format", "raw", "--function", "--duration", str(max(1, round(seconds)))]
    argv += ["--output", str(stacks)]
    if native:
        argv.append("--native")
    else:
        argv.append("--nonblocking")
    with (
        stacks.with_suffix(".log").open("w+", encoding="utf-8") as log,
        Popen(argv, stdout=log, stderr=log) as child,
    ):
        yield
        if child.wait() or not stacks.exists():
            log.seek(0)
            output = log.read().strip()
            raise cache.NotInstalled(
                f"py-spy could not sample {pid}: {output[-300:]}"
                " (it may need root, or kernel.yama.ptrace_scope = 0)"
            )


def read(text: str) -> Shares:
    """Read py-spy's raw stacks: frames from the outermost on, separated by semicolons, and the number of
    samples of the stack."""
    files: defaultdict[str, Counter[str]] = defaultdict(Counter)
    within: Counter[str] = Counter()
    total = 0
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if not count.isdigit() or _WAITING.search(stack):
            continue
        frames = [_frame(part) for part in stack.split(";")]
        file, function = frames[-1]
        files[file][function] += int(count)
        for path, name in set(frames):
            if path.endswith(".py"):
                within[f"{name} ({path})"] += int(count)
        total += int(count)
    return Shares(total, files, within)


def _frame(text: str) -> tuple[str, str]:
    """Return the file and the function of a frame, "?" for an unknown file."""
    match = _FRAME.match(text)
    if match is None:
        return "?", text
    return _short(match["file"]), match["function"]


def _short(file: str) -> str:
    """Return the path of a file in its project."""
    return re.sub(r"^.*/(?:site-packages|lib/python[\d.]+|src)/", "", file.removeprefix(_HERE))


def report(shares: Shares) -> str:
    """Return the files by their share, with the functions in them that matter, then the functions with their
    callees."""
    lines = [f"{shares.total:,} samples. Time in a function itself:", ""]
    for file, functions in sorted(shares.files.items(), key=lambda named: -named[1].total()):
        if functions.total() < _LEAST * shares.total:
            continue
        lines.append(f"{functions.total() / shares.total:6.1%}  {file}")
        lines += [
            f"        {count / shares.total:6.1%}  {name}"
            for name, count in functions.most_common()
            if count >= _LEAST * shares.total
        ]
    lines += ["", "Time in a function and its callees:", ""]
    lines += [
        f"{count / shares.total:6.1%}  {name}"
        for name, count in shares.within.most_common(_MOST)
        if count < shares.total * _ALL
    ]
    return "\n".join(lines)
