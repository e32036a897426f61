"""All commands in one program, and what people see when one of them fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from candelabra import __version__, errors
from candelabra.cli import adapt, advise, backbones, datasets, domains, heads, jobs, predict, serve
from candelabra.cli.session import Problem, explain
from candelabra_client import CandelabraError

app = typer.Typer(
    name="candelabra",
    help="One frozen encoder, thousands of small heads: train them, ask them, look after them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.command())
app.command("adapt")(adapt.adapt)
app.command("predict")(predict.predict)
app.command("advise")(advise.advise)
app.command("embed")(predict.embed)
app.add_typer(heads.app, name="heads")
app.add_typer(jobs.app, name="jobs")
app.add_typer(datasets.app, name="datasets")
app.command("domains")(domains.domains)
app.add_typer(backbones.app, name="backbones")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"candelabra {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 done, 1 failed with one sentence on stderr, 2 wrong usage."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except (CandelabraError, errors.Error, Problem) as error:
        print(f"candelabra: {explain(error)}", file=sys.stderr)
    except BrokenPipeError:
        # The reader has left (`| head`): nothing more can be said, not even by the flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("CANDELABRA_TRACEBACK"):
            raise
        print(
            f"candelabra: {type(error).__name__}: {error}. This is a bug: please report it with the output of "
            "the same command under CANDELABRA_TRACEBACK=1.",
            file=sys.stderr,
        )
    sys.exit(1)
