"""Write the part of docs/reference/cli.md that the command line says about itself: every command with its
options and examples.

python docs/_generate/cli.py --write     bring the document up to date
python docs/_generate/cli.py --check     exit 1 if it is not
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli import app

DOCUMENT = Path(__file__).parents[1] / "reference" / "cli.md"
BLOCK = re.compile(r"(<!-- generated: commands -->\n).*(<!-- end -->)", re.DOTALL)

ESCAPED = "\\|"


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command below `command`, in the order of the help."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                inner = click.Context(child, info_name=name, parent=context)
                yield child, inner
                yield from commands(child, inner)


def section(command: click.Command, context: click.Context) -> str:
    """One command: its synopsis, what it does, its options and its examples."""
    text, _, example = (command.help or "").partition("Example:\n")
    pieces = (
        []
        if isinstance(command, click.Group)
        else [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    )
    lines = [
        f"{'#' * (1 + context.command_path.count(' '))} `{' '.join([context.command_path, *pieces])}`",
        "",
        " ".join(text.replace("\b", "").split()),
        "",
    ]
    options = [
        record
        for option in command.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    ]
    if options:
        lines += [
            "| option | meaning |",
            "|---|---|",
            *(f"| `{name.replace('|', ESCAPED)}` | {meaning} |" for name, meaning in options),
            "",
        ]
    return "\n".join([*lines, "```", *(line.strip() for line in example.strip().splitlines()), "```", ""])


def generated(text: str) -> str:
    """The document with its generated part as the command line is today."""
    sections = "\n".join(section(*entry) for entry in commands(app, click.Context(app, info_name="holdfast")))
    return BLOCK.sub(lambda match: f"{match[1]}\n{sections}\n{match[2]}", text)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = generated(before)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif after != before:
        sys.stderr.write("docs/reference/cli.md is out of date; run: python docs/_generate/cli.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
