"""The command line. Imports are late, so that ``emrobust --help`` answers at once.

Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped by the user.
"""

from __future__ import annotations

import sys
import traceback

from emrobust.cli.app import app
from emrobust.cli.attack import run_attack
from emrobust.cli.card import run_card
from emrobust.cli.deid import run_deid
from emrobust.cli.explain import run_explain
from emrobust.cli.package import run_export
from emrobust.cli.quality import run_quality
from emrobust.cli.retrain import run_retrain
from emrobust.cli.serve import run_serve
from emrobust.cli.store import audit_app, keys_app, store_app
from emrobust.cli.study import run_study
from emrobust.errors import EmrobustError

_STOPPED = 130

app.command(name="attack")(run_attack)
app.command(name="deid")(run_deid)
app.command(name="study")(run_study)
app.command(name="explain")(run_explain)
app.command(name="quality")(run_quality)
app.command(name="card")(run_card)
app.command(name="export")(run_export)
app.command(name="retrain")(run_retrain)
app.command(name="serve")(run_serve)
app.add_typer(store_app, name="store")
app.add_typer(audit_app, name="audit")
app.add_typer(keys_app, name="keys")


def main() -> None:
    """Run a command; every error becomes one clear message and an exit code."""
    try:
        app()
    except EmrobustError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == _STOPPED:  # what typer makes of Ctrl+C
            print("stopped; the same command goes on where it was", file=sys.stderr)
        raise
    except Exception as error:  # the last resort, so that no record is printed
        print(_crash(error), file=sys.stderr)
        sys.exit(1)


def _crash(error: Exception) -> str:
    """An unforeseen error without its message, which could hold a record's text."""
    places = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "emrobust" in frame.filename
    ]
    return "\n".join(
        [f"error: an unforeseen {type(error).__name__}; please report these lines:", *places]
    )
