"""The program: its families of commands, and how it ends.

Exit codes: 0 done and holds; 1 what it checks does not hold; 2 wrong use, settings, environment.
"""

import sys
from typing import Annotated, Final

import typer

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
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=show.tell_version, help="The version"),
    ] = False,
) -> None:
    """A payment platform in one command. Start with: voltpay demo, then: voltpay up."""


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
        app()
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
    except Misconfigured as error:
        sys.stderr.write(f"voltpay: {error}\n")
        raise SystemExit(EXIT_WRONG) from error
    except DatabaseRefused as error:
        sys.stderr.write(f"voltpay: {error}; `voltpay doctor` says whether the schema is behind\n")
        raise SystemExit(EXIT_WRONG) from error
    except (Rejected, Unavailable) as error:
        sys.stderr.write(f"voltpay: {error.detail}\n")
        raise SystemExit(EXIT_WRONG) from error
