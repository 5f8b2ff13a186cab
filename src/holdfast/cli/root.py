"""The root of the command line: finds a command's module when it is called, and turns whatever goes wrong
into a message on stderr and an exit code. A traceback is shown only with HOLDFAST_DEBUG=1."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click

from ..core.errors import HoldfastError
from . import output
from .context import CliContext

COMMANDS = (
    "demo",
    "init",
    "config",
    "provider",
    "key",
    "models",
    "check",
    "doctor",
    "serve",
    "token",
    "session",
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
    """Each command is the `command` of the module of its name, imported when it is called: start-up costs one
    noun."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        found: click.Command = import_module(f".{module}", __package__).command
        return found

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run a command line and exit: click and its test runner start a group here."""
        sys.exit(self.run(sys.argv[1:] if args is None else args))

    def run(self, arguments: Sequence[str]) -> int:
        """Run one command line: prints, and gives the exit code."""
        as_json = "--json" in arguments
        try:
            return self._answer(arguments)
        except HoldfastError as error:
            _show_traceback()
            output.refuse(error, as_json=as_json, otherwise=_help_of(self, arguments))
            return error.exit_code
        except click.exceptions.NoArgsIsHelpError as error:
            print(error.format_message(), file=sys.stderr)
            return error.exit_code
        except click.ClickException as error:
            output.refuse(_as_ours(error), as_json=as_json)
            return _Usage.exit_code
        except (click.Abort, KeyboardInterrupt):
            print("holdfast: interrupted", file=sys.stderr)
            return _INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output has seen enough. What is still buffered must not fail at the
            # interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:
            _show_traceback()
            output.refuse(_defect(error), as_json=as_json)
            return 1

    def _answer(self, arguments: Sequence[str]) -> int:
        result = super().main(list(arguments), prog_name="holdfast", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _Unread from None


class _Usage(HoldfastError):
    """The command line itself is wrong."""

    exit_code = 2


class _Unread(BrokenPipeError):
    """click would end the process by itself on EPIPE; this one has no errno and passes."""


def _show_traceback() -> None:
    if os.environ.get("HOLDFAST_DEBUG") == "1":
        import traceback

        traceback.print_exc()


def _as_ours(error: click.ClickException) -> _Usage:
    """A wrong command line, told like every other refusal."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context is not None else "holdfast"
    return _Usage(error.format_message(), next_step=f"{path} --help")


def _help_of(group: click.Command, arguments: Sequence[str]) -> str:
    """The command that explains the command which was called."""
    called = ["holdfast"]
    for word in arguments:
        found = group.get_command(click.Context(group), word) if isinstance(group, click.Group) else None
        if found is None:
            break
        group, called = found, [*called, word]
    return " ".join([*called, "--help"])


def _defect(error: Exception) -> HoldfastError:
    """Something that we did not foresee. Its words are redacted: nobody knows what is in them."""
    from ..core.secret import redact

    return HoldfastError(
        f"this is a defect of Holdfast: {type(error).__name__}: {redact(str(error))}",
        next_step="HOLDFAST_DEBUG=1 holdfast …   (shows where)",
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
@click.pass_context
def app(ctx: click.Context) -> None:
    """Keep a session on the provider, endpoint, key and model that its user chose.

    HOLDFAST_HOME names the directory that holds everything; without it, the platform's directories do.

    \b
    Example:
      holdfast init
      holdfast provider add mimo-plan --url https://token-plan-cn.xiaomimimo.com/v1 --model mimo-v2.5-pro
      holdfast key add mimo-plan --from env:MIMO_KEY
      holdfast check mimo-plan/mimo-v2.5-pro
    """
    ctx.obj = CliContext()
    ctx.call_on_close(ctx.obj.close)
