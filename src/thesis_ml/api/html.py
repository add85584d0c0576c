"""How a run and a report look in a notebook; every text that comes from a folder is escaped."""

import base64
import io
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import cut_text
from thesis_ml.facts.schema import LOSS, History
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.utils.plain_values import as_float

DPI = 100
MOST_NUMBERS = 50


def draw_run(run: RunFacts) -> str:
    """Return the state, the numbers of the result and the curves of a run as HTML."""
    history = run.history
    texts = [f"{run.state.name}: {run.state.reason}" if run.state.reason else run.state.name]
    texts.append(f"{history.n_epochs} epochs")
    if history.best_epoch is not None:
        texts.append(f"best epoch {history.best_epoch + 1}")
    texts += [f"{column} {option}" for column, option in run.choices.items()]
    numbers = {name: as_float(value) for name, value in run.result.items() if name != "best_epoch"}
    known = [(name, value) for name, value in numbers.items() if math.isfinite(value)][:MOST_NUMBERS]
    rows = [f"<tr><td>{escape(cut_text(name))}</td><td>{value:.5g}</td></tr>" for name, value in known]
    return (
        f"<div><b>{escape(run.name)}</b> {escape(', '.join(texts))}<br><code>{escape(str(run.path))}</code>"
        f"<table>{''.join(rows)}</table>{_draw_curves(history) if history.n_epochs else ''}</div>"
    )


def draw_report(page: Path, headline: Sequence[str], table: str) -> str:
    """Return the headline and the scoreboard of a report as HTML; the table is HTML already."""
    return f"<div>{escape(' '.join(headline))}{table}<code>{escape(str(page))}</code></div>"


def _draw_curves(history: History) -> str:
    """Return loss and error per epoch as an image inside the page."""
    # Here, not at the top: a training that draws nothing needs no matplotlib.
    from thesis_ml.monitoring import io_utils

    names = [LOSS, *[REC_MSE] * (REC_MSE in history.names("val"))]
    figure, panels = io_utils.new_panels("epoch", names)
    for axes, name in zip(panels, names, strict=True):
        io_utils.draw_splits(axes, history, name)
    io_utils.draw_legend(panels[0])
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=DPI)
    return f'<img alt="loss per epoch" src="data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}">'
