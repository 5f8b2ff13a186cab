"""The root of the command line. It imports the module of a command when it is called, and turns every error
into a message on stderr and an exit code. A traceback is shown only with HOLDFAST_DEBUG=1."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click

from ..core.errors import HoldfastError
from ..values.plain_text import plain
from . import colours, output
from .context import CliContext

COMMANDS = (
    "demo",
    "setup",
    "init",
    "config",
    "provider",
    "key",
    "models",
    "check",
    "doctor",
    "serve",
    "stop",
    "logs",
    "status",
    "token",
    "session",
    "usage",
    "store",
    "why",
    "env",
    "run",
    "connect",
    "disconnect",
    "provision",
    "heal",
    "import",
    "classify",
    "report",
    "completion",
)
_INTERRUPTED = 130


class Root(click.Group):
    """The group of all commands. A command is the `command` of the module of its name, which is imported when
    it is called, so that start-up costs one module."""

    # The arguments of the next two methods are click's.

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name
        if iskeyword(cmd_name):
            module = f"{cmd_name}_"
        command: click.Command = import_module(f".{module}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called. One that does not exist is refused with the nearest name: click
        knows only the names of commands that are loaded."""
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from ..core.config import near

        raise _Usage(f"there is no command '{name}': {near(name, COMMANDS)}", next_step="holdfast --help")

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run a command line and exit: click and its test runner start a group here."""
        if args is None:
            args = sys.argv[1:]
        sys.exit(self.run(args))

    def run(self, arguments: Sequence[str]) -> int:
        """Run one command line, print its errors, and return its exit code."""
        as_json = "--json" in itertools.takewhile(lambda word: word != "--", arguments)
        arguments = colours.hoisted(arguments)
        colours.choose(colours.AUTO)
        try:
            return self._answer(arguments)
        except HoldfastError as error:
            _show_traceback()
            output.refuse(error, as_json=as_json, otherwise=_help_of(self, arguments))
            return error.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            print(plain(error.format_message()), file=sys.stderr)
            return error.exit_code
        except click.ClickException as error:
            output.refuse(_as_ours(error), as_json=as_json)
            return _Usage.exit_code
        except (click.Abort, KeyboardInterrupt):
            print("holdfast: interrupted", file=sys.stderr)
            return _INTERRUPTED
        except BrokenPipeError:
            # The reader of our output has closed it. What is still buffered must not fail when the
            # interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:
            _show_traceback()
            output.refuse(_defect(error), as_json=as_json)
            return 1

    def _answer(self, arguments: Sequence[str]) -> int:
        """Run one command line and return its exit code; errors pass."""
        result = super().main(list(arguments), prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
        if isinstance(result, int):
            return result
        return 0

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command. A closed output is raised as an error that click does not handle itself."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _Unread from None


class _Usage(HoldfastError):
    """A command line that click does not understand."""

    exit_code = 2


class _Unread(BrokenPipeError):
    """A closed output, without errno: on EPIPE click would end the process itself."""


def _show_traceback() -> None:
    if os.environ.get("HOLDFAST_DEBUG") == "1":
        import traceback

        traceback.print_exc()


def _as_ours(error: click.ClickException) -> _Usage:
    """Return click's error as one of ours, so that it is shown like every other."""
    path = "holdfast"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        path = error.ctx.command_path
    return _Usage(error.format_message(), next_step=f"{path} --help")


def _help_of(group: click.Command, arguments: Sequence[str]) -> str:
    """Return the help command of the command that was called."""
    called = ["holdfast"]
    for word in arguments:
        if not isinstance(group, click.Group):
            break
        command = group.get_command(click.Context(group), word)
        if command is None:
            break
        group = command
        called.append(word)
    return " ".join([*called, "--help"])


def _defect(error: Exception) -> HoldfastError:
    """Return an unexpected error as one of ours. Its text is redacted: it may hold a secret."""
    from ..values.secret import redact

    return HoldfastError(
        f"this is a defect of Holdfast: {type(error).__name__}: {redact(str(error))}",
        next_step="HOLDFAST_DEBUG=1 holdfast …   (the same command; shows where)",
    )


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from ..distribution import version

        output.say(f"holdfast {version()}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option(
    "--color",
    type=click.Choice(colours.WHEN),
    default=colours.AUTO,
    expose_value=False,
    callback=lambda _ctx, _parameter, when: colours.choose(when),
    help="Colours on a terminal (auto), always, or never; may stand anywhere on the line.",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Keep a session on the provider, endpoint, key and model that its user chose.

    HOLDFAST_HOME names the directory of all files; by default the platform's directories are used.

    \b
    Example:
      holdfast setup --url https://token-plan-cn.xiaomimimo.com/v1 --key env:MIMO_KEY --model mimo-v2.5-pro
      holdfast run claude --pin mimo-plan-cn/mimo-v2.5-pro
    """
    ctx.obj = CliContext()
    ctx.call_on_close(ctx.obj.close)
