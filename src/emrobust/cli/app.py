"""Every command: what it reads, what it writes, and a line about what it did."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from emrobust.config import Project
    from emrobust.registry import Setting

app = typer.Typer(
    name="emrobust",
    help="Turn a hospital's own outpatient records into a diagnosis classifier it can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProjectFile = Annotated[Path, typer.Argument(help="Project file (TOML); examples in configs/.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder that `emrobust train` wrote.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write; it is made if absent.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Overrides the file; repeatable."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="A table like the one in the project file, or a prepared folder."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from emrobust import __version__

        typer.echo(f"emrobust {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    pass


@app.command(name="demo")
def run_demo(
    out: Out = Path("out/demo"),
    records: Annotated[int, typer.Option(min=2000, help="Visits of the made-up clinic.")] = 24_000,
    seed: Annotated[int, typer.Option(min=0)] = 20260101,
    page: Annotated[
        bool | None,
        typer.Option("--page/--no-page", help="End by serving the page; absent: ask, if you can."),
    ] = None,
) -> None:
    """The whole way on a made-up clinic: database, two models, evaluation, report, page."""
    from emrobust.cli import showcase

    showcase.run(out, records, seed)
    if page is None and sys.stdin.isatty():
        page = typer.confirm("Open the page for doctors with this model?", default=True)
    if page:
        showcase.show_page(out)
    else:
        typer.echo(f"The page for doctors: emrobust demo --out {out} --page")


@app.command(name="clinic")
def run_clinic(
    out: Out,
    records: Annotated[int, typer.Option(min=1, help="Number of visits.")] = 105_000,
    seed: Annotated[int, typer.Option(min=0)] = 20260101,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    formats: Annotated[str, typer.Option(help="Any of sqlite,csv,excel.")] = "sqlite,csv,excel",
) -> None:
    """Write the database of a made-up hospital, with its truth beside it."""
    from emrobust.clinic import generate

    summary = generate(out, records, seed, workers=workers, formats=tuple(formats.split(",")))
    typer.echo(f"{summary.rows_out:,} visits in {out}")


@app.command(name="check")
def run_check(project: ProjectFile, settings: Overrides = None) -> None:
    """Check a project file and its source without reading everything."""
    from emrobust import config
    from emrobust.pipeline.check import check

    for line in check(config.load(project, settings or ())):
        typer.echo(line)


@app.command(name="prepare")
def run_prepare(project: ProjectFile, out: Out, settings: Overrides = None) -> None:
    """Read the source, make classes of its codes, and split by patient."""
    from emrobust import config
    from emrobust.pipeline.prepare import describe, prepare

    for line in describe(prepare(config.load(project, settings or ()), out)):
        typer.echo(line)


@app.command(name="train")
def run_train(
    project: ProjectFile,
    out: Out,
    data: Annotated[
        Path | None, typer.Option("--data", help="A folder that `prepare` wrote.")
    ] = None,
    settings: Overrides = None,
    search: Annotated[
        int | None,
        typer.Option("--search", min=1, help="Run so many trials and write the best settings."),
    ] = None,
) -> None:
    """Train a classifier; killed and started again, it goes on where it was."""
    from emrobust import config
    from emrobust.pipeline.train import train

    given = config.load(project, settings or ())
    if search is not None:
        _search(given, out, search, data)
        return
    run = train(given, out, data)
    typer.echo(f"trained {run.project.model.name} on {len(run.names)} classes: {out}")


def _search(project: Project, out: Path, trials: int, data: Path | None) -> None:
    from emrobust.pipeline import search

    found = search.search(project, out, trials, data)
    own = "" if found.own is None else f" (the project's own settings: {found.own:.3f})"
    typer.echo(f"best of {found.trials} trials: validation macro-F1 {found.macro_f1:.3f}{own}")
    for key, value in found.settings.items():
        typer.echo(f"  {key} = {value}")
    typer.echo(f"train it: emrobust train {out / search.BEST} --out FOLDER")


@app.command(name="pretrain")
def run_pretrain(
    corpus: Annotated[
        list[Path],
        typer.Argument(help="Text, a passage a line (plain, .gz, .xz), or prepared folders."),
    ],
    out: Out,
    *,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Checkpoint to continue from: a folder or a name."),
    ] = None,
    deidentified: Annotated[
        bool,
        typer.Option(
            "--deidentified",
            help="I say that the text names no person; folders that [deid] treated show it.",
        ),
    ] = False,
    half: Annotated[bool, typer.Option("--half", help="Write the weights as float16.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, such as epochs=3; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 20260101,
) -> None:
    """Pretrain an encoder on text; killed and started again, it goes on where it was."""
    from emrobust.pipeline.pretrain import ENCODER, pretrain

    history = pretrain(
        corpus, out, settings or (), start=start, deidentified=deidentified, half=half, seed=seed
    )
    last = history[-1]
    perplexity = f"held-out perplexity {last['perplexity']:.1f}"
    typer.echo(f"{perplexity} after {last['step']:,} steps: {out / ENCODER}")


@app.command(name="evaluate")
def run_evaluate(
    run: RunFolder,
    out: Out,
    data: Data = None,
    baseline: Annotated[
        list[Path] | None, typer.Option(help="Another run to show beside this one; repeatable.")
    ] = None,
) -> None:
    """Measure a run on its test split or on a table: metrics.json and report.html."""
    from emrobust.pipeline.evaluate import evaluate
    from emrobust.pipeline.prepare import describe

    evaluation, read = evaluate(run, out, data, tuple(baseline or ()))
    for line in describe(read):
        typer.echo(line)
    typer.echo(evaluation.headline())
    typer.echo(f"report: {out / 'report.html'}")


@app.command(name="predict")
def run_predict(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or a package that `emrobust export` wrote.")
    ],
    data: Annotated[Path, typer.Option("--data", help="A table like the project's source.")],
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv, .jsonl or .parquet.")],
    *,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of a package; else all processors.")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "int8"], typer.Option(help="Of a package; auto: by its self-test.")
    ] = "auto",
    coverage: Annotated[
        float | None,
        typer.Option(help="Of a package: share of true labels that its prediction sets hold."),
    ] = None,
) -> None:
    """Predict the diagnoses of a table of any size, in batches."""
    from emrobust.pipeline.predict import predict

    summary = predict(run, data, out, threads=threads, precision=precision, coverage=coverage)
    typer.echo(f"{summary.rows_out:,} predictions in {out}")
    if absent := summary.notes.get("absent_columns"):
        typer.echo(f"  not in the table, and done without: {', '.join(absent)}")
    for warning in summary.notes.get("warnings", ()):
        typer.echo(f"  warning: {warning}")
    for reason, rows in summary.rejected.items():
        typer.echo(f"  {rows:,} rows refused: {reason}")


@app.command(name="compare")
def run_compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN…", help="Runs; those that differ by seed are one recipe."),
    ],
) -> None:
    """Two runs on the same records, or the last run's recipe against others over seeds."""
    from emrobust.pipeline.evaluate import lines_of_comparison

    for line in lines_of_comparison(runs):
        typer.echo(line)


@app.command(name="convert")
def run_convert(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="PICKLE_FOLDER", help="A checkpoint with pytorch_model.bin.")
    ],
    out: Out,
) -> None:
    """Rewrite a pickle checkpoint as safetensors; refused if it holds more than tensors."""
    from emrobust.encoder.convert import convert

    typer.echo(f"{convert(checkpoint, out)} tensors in {out}")


@app.command(name="list")
def list_components(
    kind: Annotated[
        str, typer.Argument(help="What to list: models, perturbations, recipes, …")
    ] = "models",
    component: Annotated[
        str | None, typer.Argument(help="The name of one, to see its settings.")
    ] = None,
) -> None:
    """List the components that a project file can name, or the settings of one."""
    lines = _list_recipes(component) if kind == "recipes" else _list_components(kind, component)
    for line in lines:
        typer.echo(line)


def _list_components(kind: str, name: str | None) -> Iterator[str]:
    from emrobust import registry

    singular = registry.kind(kind)
    if name is not None:
        settings = registry.describe(singular, name)
        yield from map(_explain, settings) if settings else [f"{name} has no settings"]
        return
    sources = registry.sources(singular)
    width = max((len(known) for known in sources), default=0) + 1
    for known, line in registry.names(singular).items():
        source = f" [{sources[known]}]" if sources[known] else ""
        yield f"{known:<{max(width, 12)}} {line}{source}"


def _list_recipes(name: str | None) -> Iterator[str]:
    from emrobust.attack import recipe

    if name is not None:
        yield recipe.write(name)
        return
    for known, of in recipe.recipes().items():
        yield f"{known:<20} {of.about} [{of.language}]"


def _explain(setting: Setting) -> str:
    """A line for a project file, and one that says what it means."""
    value = "…  (required)" if setting.required else setting.default or "…  (absent by default)"
    choices = f"  (of {', '.join(setting.choices)})" if setting.choices else ""
    return f"{setting.name} = {value}{choices}\n    {setting.about.replace('``', '`')}"
