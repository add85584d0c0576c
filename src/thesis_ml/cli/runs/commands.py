"""The subcommands of thesis-runs and their options; what does the work is imported when it is called."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from thesis_ml.errors import ConfigError

LIST = "list"

app = typer.Typer(
    help="List, compare and tidy runs; thesis-runs alone lists the newest.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _complete_run(incomplete: str) -> list[str]:
    from thesis_ml.cli.runs.lookup import complete_run

    return complete_run(incomplete)


def _complete_sweep(incomplete: str) -> list[str]:
    from thesis_ml.cli.runs.lookup import complete_sweep

    return complete_sweep(incomplete)


Root = Annotated[Path | None, typer.Option("--root", help="Output folder; default: THESIS_OUTPUT_ROOT, else outputs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Where = Annotated[
    list[str] | None, typer.Option("--where", help="Condition, such as latent_space=vq, 'rec_mse<0.05', tag=ch5.")
]
Run = Annotated[str, typer.Argument(help="Name or folder of a run.", autocompletion=_complete_run)]
Runs = Annotated[
    list[str] | None,
    typer.Argument(help="Names or folders of runs.", autocompletion=_complete_run, show_default=False),
]
Sweep = Annotated[str, typer.Argument(help="Folder or name of a sweep.", autocompletion=_complete_sweep)]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]
Force = Annotated[bool, typer.Option("--force", help="Also runs that a report uses.")]


@app.command(LIST)
def list_runs(
    paths: Annotated[list[Path] | None, typer.Argument(help="Only runs in these folders.", show_default=False)] = None,
    where: Where = None,
    since: Annotated[str | None, typer.Option(help="Started at this date or later, such as 2026-11-01.")] = None,
    sort: Annotated[str | None, typer.Option(help="Order by a column; -column: largest first.")] = None,
    columns: Annotated[str | None, typer.Option(help="Names with commas, such as name,state,lr,rec_mse.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most runs; 0: all.")] = 50,
    show_all: Annotated[bool, typer.Option("--all", help="Name reports and other folders too.")] = False,
    root: Root = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List runs, the newest first."""
    from thesis_ml.cli.runs.listing import ListOptions, print_list
    from thesis_ml.cli.runs.lookup import open_index
    from thesis_ml.cli.runs.output import choose_form, print_rows
    from thesis_ml.runs.filters import parse_condition, parse_since

    options = ListOptions(
        conditions=[parse_condition(text) for text in where or ()],
        since=None if since is None else parse_since(since),
        sort=sort,
        columns=[name.strip() for name in (columns or "").split(",") if name.strip()],
        limit=limit,
        form=choose_form(as_json, as_csv),
    )
    if show_all and (as_json or as_csv):
        raise ConfigError("--all: is for the table; leave --json or --csv out")
    with open_index(root, paths or ()) as (index, below):
        print_list(index, options, below)
        if show_all:
            others = index.others
            rows = [{"folder": path, "kind": "report", "reason": ""} for path in others.reports]
            rows += [{"folder": path, "kind": "other", "reason": reason} for path, reason in others.foreign.items()]
            print_rows(rows, ("folder", "kind", "reason"), options.form)


@app.command()
def show(run: Run, root: Root = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Show a run: settings that are not the defaults, command, code, data, result, curves, warnings."""
    from thesis_ml.cli.runs.details import show_run
    from thesis_ml.cli.runs.lookup import find_run, open_index
    from thesis_ml.cli.runs.output import choose_form

    with open_index(root) as (index, _):
        row, folder = find_run(index, run)
        show_run(row, folder, choose_form(as_json, as_csv))


@app.command()
def diff(first: Run, second: Run, root: Root = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Show what differs between two runs: keys, code, versions, data, numbers."""
    from thesis_ml.cli.runs.details import diff_two
    from thesis_ml.cli.runs.lookup import find_run, open_index
    from thesis_ml.cli.runs.output import choose_form

    with open_index(root) as (index, _):
        diff_two([find_run(index, name) for name in (first, second)], choose_form(as_json, as_csv))


@app.command()
def log(run: Run, root: Root = None) -> None:
    """Print the log of a run."""
    from thesis_ml.cli.runs.details import print_log
    from thesis_ml.cli.runs.lookup import find_run, open_index

    with open_index(root) as (index, _):
        print_log(find_run(index, run)[1])


@app.command("path")
def print_path(run: Run, root: Root = None) -> None:
    """Print the folder of a run, for cd $(thesis-runs path NAME)."""
    from thesis_ml.cli.runs.lookup import find_run, open_index

    with open_index(root) as (index, _):
        print(find_run(index, run)[1])


@app.command("open")
def open_page(
    name: Annotated[str, typer.Argument(help="Name or folder of a run or a report.", autocompletion=_complete_run)],
    root: Root = None,
) -> None:
    """Open the page of a report, or the figures of a run."""
    from thesis_ml.cli.runs.lookup import find_run, open_index
    from thesis_ml.utils.paths import FIGURES_FOLDER, PAGE_FILE

    with open_index(root) as (index, _):
        reports = [path for path in index.others.reports if name in (path, Path(path).name)]
        if Path(name).is_dir() and (Path(name) / PAGE_FILE).is_file():
            target = Path(name) / PAGE_FILE
        elif reports:
            target = index.root / reports[0] / PAGE_FILE
        else:
            target = find_run(index, name)[1] / FIGURES_FOLDER
    if not target.exists():
        raise ConfigError(f"{target}: the run has no figures; train with logging.make_plots=true")
    print(target)
    typer.launch(str(target))


@app.command()
def status(sweep: Sweep, root: Root = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Show the jobs of a sweep beside its plan; exit code 0 only when all are complete."""
    from thesis_ml.cli.runs import sweeps
    from thesis_ml.cli.runs.lookup import find_sweep, open_index
    from thesis_ml.cli.runs.output import choose_form
    from thesis_ml.runs.status import are_complete

    folder = find_sweep(sweep, root)
    with open_index(root, [folder]) as (index, _):
        plan, jobs = sweeps.judge_sweep(index, folder)
    sweeps.print_status(plan, jobs, choose_form(as_json, as_csv))
    raise typer.Exit(0 if are_complete(plan, jobs) else 1)


@app.command()
def watch(sweep: Sweep, root: Root = None) -> None:
    """Show the status of a sweep every five seconds until its jobs have ended."""
    from thesis_ml.cli.runs import sweeps
    from thesis_ml.cli.runs.lookup import find_sweep, open_index

    folder = find_sweep(sweep, root)
    with open_index(root, [folder]) as (index, _):
        base = index.root
    raise typer.Exit(0 if sweeps.watch_sweep(base, folder) else 1)


@app.command()
def retry(
    sweep: Sweep,
    failed: Annotated[bool, typer.Option("--failed", help="Jobs that failed or are held.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Jobs that never started.")] = False,
    interrupted: Annotated[bool, typer.Option("--interrupted", help="Jobs that were stopped or are silent.")] = False,
    changes_of: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for these jobs; failed ones then start anew.")
    ] = None,
    launcher: Annotated[str | None, typer.Option(help="basic, htcondor, joblib; default: that of the sweep.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the command.")] = False,
    root: Root = None,
) -> None:
    """Run the jobs of a sweep that are not complete, or those of some states."""
    from thesis_ml.cli.runs import sweeps
    from thesis_ml.cli.runs.lookup import find_sweep, open_index

    folder = find_sweep(sweep, root)
    with open_index(root, [folder]) as (index, _):
        plan, jobs = sweeps.judge_sweep(index, folder)
    chosen = sweeps.choose_jobs(jobs, failed=failed, missing=missing, interrupted=interrupted)
    if not chosen and not plan.is_optimising:
        print("no job is to be run again")
        return
    sweeps.check_changes(plan, chosen, changes_of or ())
    is_same = launcher in (None, plan.launcher)
    overrides = plan.repeat_launcher() if is_same else [f"hydra/launcher={launcher}"]
    command = sweeps.build_retry(folder, chosen, [*overrides, *(changes_of or ())])
    if changes_of and not dry_run:
        sweeps.clear_failed(chosen, folder, index.root)
    raise typer.Exit(sweeps.retry_sweep(folder, chosen, command, is_dry=dry_run))


@app.command()
def tag(
    name: Annotated[str, typer.Argument(help="The tag.")],
    runs: Runs = None,
    where: Where = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away.")] = False,
    root: Root = None,
) -> None:
    """Tag runs."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs
    from thesis_ml.facts.marks import change_tags

    added, removed = ([], [name]) if remove else ([name], [])
    with choose_runs(root, runs, where, "tag") as (_, chosen):
        changes.change_marks(chosen, lambda marks: change_tags(marks, added, removed))


@app.command()
def note(run: Run, text: Annotated[str, typer.Argument(help="The note; empty removes it.")], root: Root = None) -> None:
    """Write a note on a run."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs

    with choose_runs(root, [run], None, "note") as (_, chosen):
        changes.change_marks(chosen, lambda marks: replace(marks, note=text))


@app.command()
def mark(
    what: Annotated[str, typer.Argument(help="stale, or fresh to undo it.")],
    runs: Runs = None,
    where: Where = None,
    root: Root = None,
) -> None:
    """Mark runs as stale: superseded, not to be used."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs

    if what not in ("stale", "fresh"):
        raise ConfigError(f"mark: must be stale or fresh, got {what!r}")
    with choose_runs(root, runs, where, "mark") as (_, chosen):
        changes.change_marks(chosen, lambda marks: replace(marks, is_stale=what == "stale"))


@app.command()
def du(
    limit: Annotated[int, typer.Option(min=0, help="Most runs; 0: all.")] = 20,
    where: Where = None,
    root: Root = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Show what takes the space."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs
    from thesis_ml.cli.runs.output import choose_form

    with choose_runs(root, None, where, None) as (_, chosen):
        changes.print_space(chosen, choose_form(as_json, as_csv), limit)


@app.command()
def archive(runs: Runs = None, where: Where = None, yes: Yes = False, force: Force = False, root: Root = None) -> None:
    """Move runs to archive/ in the output folder, where they are still listed."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs
    from thesis_ml.utils.paths import ARCHIVE_FOLDER

    with choose_runs(root, runs, where, "archive") as (index, chosen):
        n_refused = changes.move_all(chosen, index.root, ARCHIVE_FOLDER, is_forced=force, does_it=yes)
    raise typer.Exit(1 if n_refused else 0)


@app.command()
def rm(
    runs: Runs = None,
    where: Where = None,
    yes: Yes = False,
    force: Force = False,
    empty: Annotated[bool, typer.Option("--empty", help="Remove what lies in the trash for good.")] = False,
    root: Root = None,
) -> None:
    """Move runs to .trash/ in the output folder."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs, open_index
    from thesis_ml.runs.trash import empty_trash
    from thesis_ml.utils.paths import TRASH_FOLDER

    if empty and (runs or where):
        raise ConfigError("rm --empty: removes all that lies in the trash; leave the names out")
    if empty:
        with open_index(root) as (index, _):
            if not yes:
                raise ConfigError(f"rm --empty: removes {index.root / TRASH_FOLDER} for good; add --yes")
            print(f"freed {empty_trash(index.root) / changes.MIB:,.1f} MiB")
        return
    with choose_runs(root, runs, where, "rm") as (index, chosen):
        n_refused = changes.move_all(chosen, index.root, TRASH_FOLDER, is_forced=force, does_it=yes)
    raise typer.Exit(1 if n_refused else 0)


@app.command()
def prune(
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Keep best_val.pt only.")] = False,
    runs: Runs = None,
    where: Where = None,
    yes: Yes = False,
    root: Root = None,
) -> None:
    """Remove what complete runs need no more."""
    from thesis_ml.cli.runs import changes
    from thesis_ml.cli.runs.lookup import choose_runs

    if not checkpoints:
        raise ConfigError("prune: say what: --checkpoints")
    with choose_runs(root, runs, where, None) as (_, chosen):
        changes.prune_all(chosen, does_it=yes)


@app.command("index")
def update_index(root: Root = None) -> None:
    """Bring the table of runs up to date, and print its file and how many runs it has."""
    from thesis_ml.cli.runs.lookup import open_index
    from thesis_ml.utils.paths import INDEX_FILE

    with open_index(root) as (index, _):
        file = index.root / INDEX_FILE
        print(f"{file if file.is_file() else 'in memory'}: {index.count():,} runs")


@app.command()
def sql(query: str, root: Root = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Ask the table of runs, such as "select path, rec_mse from runs order by rec_mse" (docs/reference/runs.md)."""
    from thesis_ml.cli.runs.lookup import open_index
    from thesis_ml.cli.runs.output import choose_form, print_rows

    with open_index(root) as (index, _):
        columns, rows = index.query(query)
    print_rows([dict(zip(columns, row, strict=True)) for row in rows], columns, choose_form(as_json, as_csv))


COMMANDS = tuple(command.name or str(getattr(command.callback, "__name__", "")) for command in app.registered_commands)
