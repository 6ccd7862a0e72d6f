"""The program: its families of commands, and how it ends.

Exit codes: 0 done and holds; 1 what it checks does not hold; 2 wrong use, settings, environment.
"""

import os
import sys
from typing import Annotated, Final

import typer

from voltpay.app.settings_file import PROFILE_VARIABLE
from voltpay.cli import dead, serve, show, upkeep
from voltpay.cli.bench import command as bench
from voltpay.cli.demo import command as demo
from voltpay.core.errors import Misconfigured, Rejected, Unavailable
from voltpay.foundation.engines.postgres.pool import DatabaseRefused
from voltpay.foundation.runtime.logs import configure_logging

EXIT_WRONG: Final = 2
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    name="voltpay",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _program(
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", is_eager=True, callback=show.tell_version, help="The version"),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(help="local, docker, test or production; default: VOLTPAY_PROFILE, or local"),
    ] = None,
) -> None:
    """A payment platform in one command. Start with: voltpay demo, then: voltpay up."""
    if profile is not None:
        # Processes that this one starts are to run with it, too.
        os.environ[PROFILE_VARIABLE] = profile


serve.add_to(app)
demo.add_to(app)
bench.add_to(app)
upkeep.add_to(app)
app.add_typer(dead.app, name="dead")
show.add_to(app)


def main() -> None:
    """Run a command; what cannot run says so in one line and exits with 2."""
    configure_logging("error", "command")
    try:
        code = app(prog_name="voltpay", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(EXIT_INTERRUPTED) from None
    except typer.TyperException as error:
        sys.stderr.write(_wrong_use(error))
        raise SystemExit(EXIT_WRONG) from error
    except Misconfigured as error:
        sys.stderr.write(f"voltpay: {error}\n")
        raise SystemExit(EXIT_WRONG) from error
    except DatabaseRefused as error:
        sys.stderr.write(f"voltpay: {error}; `voltpay doctor` says whether the schema is behind\n")
        raise SystemExit(EXIT_WRONG) from error
    except Unavailable as error:
        sys.stderr.write(f"voltpay: {error.detail}; try again, or see `voltpay doctor`\n")
        raise SystemExit(EXIT_WRONG) from error
    except Rejected as error:
        sys.stderr.write(f"voltpay: {error.detail}\n")
        raise SystemExit(EXIT_WRONG) from error
    raise SystemExit(code if isinstance(code, int) else 0)


def _wrong_use(error: typer.TyperException) -> str:
    """One line; none where the error is that nothing was asked, which has shown the help."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    asked = context.command_path if context else "voltpay"
    return f"voltpay: {said[:1].lower()}{said[1:]}: see `{asked} --help`\n" if said else ""
