"""`terminal sync`: send what is unsent, accept signed acknowledgements, delete what may leave."""

from __future__ import annotations

from typing import Annotated

import typer

from terminal.cli.options import DEFAULT_COLLECTOR, DEFAULT_STATE, CollectorUrl, Json, Number, State
