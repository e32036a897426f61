"""`candelabra serve`: one flag for every setting, made from the settings themselves."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any

import typer

from candelabra.settings import PREFIX, Settings


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def command() -> Callable[..., None]:
    """The command as a function whose signature has a parameter for each setting."""

    def serve(**flags: Any) -> None:
        # Read by OpenMP when torch loads it. Threads that wait for work by spinning take the core from the event loop,
        # the trainer and each other: on two busy cores one text took three times as long.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from candelabra.app import run  # brings torch
        from candelabra.settings import read

        raise typer.Exit(run(read(flags)))

    parameters = [_parameter(spec) for spec in fields(Settings)]
    serve.__doc__ = "Run the server until SIGTERM or Ctrl-C; every setting is a flag and an environment variable."
    serve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    serve.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return serve


def _parameter(spec: Field[Any]) -> inspect.Parameter:
    """None where the flag is absent: then the environment decides, which settings.read looks at."""
    default = "empty" if spec.default == "" else spec.default
    about = f"{spec.metadata['help']} [{PREFIX}{spec.name.upper()}; default: {default}]"
    names = [flag(spec.name)]
    if isinstance(spec.default, bool):
        names = [f"{flag(spec.name)}/--no-{flag(spec.name)[2:]}"]
    option = typer.Option(*names, help=about, show_default=False)
    kind: Any = type(spec.default)
    return inspect.Parameter(
        spec.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )
