"""The text of thesis-report --help, made from the modules in reports/analyses without importing one."""

import ast
import textwrap
from collections.abc import Sequence
from pathlib import Path

WIDTH = 120

TEMPLATE = """\
Compare runs: tables, figures and one page, from their facts; with inference, from their models too.

  thesis-report --config-name NAME inputs.sweep_dir=outputs/multiruns/exp_...
  thesis-report --config-name NAME 'inputs.run_dirs=[outputs/runs/run_a,outputs/runs/run_b]'

Reports (NAME)
{reports}

Keys set most often
  inputs.sweep_dir=DIR                     a sweep, or a folder of sweeps or runs; a list or wildcards too
  inputs.run_dirs=[DIR,DIR]                single runs; wildcards too
  inputs.select=[latent_space:vq,seed:0]   only these; values of one column are alternatives
  outputs.which_figures=[NAME,NAME]        only these figures
  outputs.fig_format=pdf                   png, pdf or svg
  thresholds.val_mse=0.05                  the error that runs are timed to
  inference.enabled=true                   score events with the models: closure, codebooks, anomalies
  env.output_root=DIR                      where reports/ goes; else beside the runs

Output
  outputs/reports/report_YYYYMMDD-HHMMSS_NAME/

--cfg job shows every key, --config-dir DIR adds your own files, --hydra-help tells Hydra's flags.
Exit codes: 0 done, 1 failure, 2 wrong input, 85 stopped, 130 Ctrl-C."""


def list_reports() -> dict[str, Path]:
    """Return the modules of reports/analyses by name."""
    folder = Path(__file__).resolve().parents[2] / "reports" / "analyses"
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def describe_reports(configs: Sequence[str]) -> str:
    """Return the help; a configuration without a module of its own name is listed too."""
    reports = {name: _read_first_line(path) for name, path in list_reports().items()}
    rows = {name: reports.get(name, "a configuration of one of the others") for name in sorted({*reports, *configs})}
    width = max(map(len, rows), default=0)
    room = max(WIDTH - width - 4, 20)
    lines = [f"  {name:<{width}}  {textwrap.shorten(text, room, placeholder=' ...')}" for name, text in rows.items()]
    return TEMPLATE.format(reports="\n".join(line.rstrip() for line in lines))


def _read_first_line(path: Path) -> str:
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError):
        return "(cannot be read)"
    return (docstring or "").partition("\n")[0]
