"""Run folders as schema 1 left them: a fresh run_id on every line, full histories each epoch, 0 for what is blank."""

import json
import math
import secrets
from pathlib import Path

import yaml

TIME = "20251103-140953"


def write_old_run(
    folder: Path,
    *,
    latent_space: str = "vq",
    n_epochs: int = 3,
    globals_beta: float | None = 10.0,
    sweep_dir: str | None = None,
    is_tested: bool = True,
) -> Path:
    """Write a run of schema 1 and return its folder."""
    (folder / "facts").mkdir(parents=True)
    lines = [_line("on_start", run_dir="/nowhere/any/more", epoch=None)]
    histories: dict = {"train_loss": [], "val_loss": [], "metrics": {"perplex": [], "rec_globals": []}}
    for epoch in range(n_epochs):
        perplexity = 40.0 + epoch if latent_space == "vq" else 0.0
        numbers = {"perplex": perplexity, "rec_tokens": 0.5 / (epoch + 1), "rec_globals": 5.0, "grad": math.nan}
        histories["train_loss"].append(2.0 - epoch / 10)
        histories["val_loss"].append(1.5 - epoch / 10)
        for name, values in histories["metrics"].items():
            values.append(numbers[name])
        body = {"epoch": epoch, "train_loss": 2.0 - epoch / 10, "val_loss": 1.5 - epoch / 10, "metrics": numbers}
        flat = {f"history_{name}": values for name, values in histories.items() if name != "metrics"}
        flat |= {f"history_{name}": values for name, values in histories["metrics"].items()}
        costs = {"epoch_time_s": 1.25, "throughput": 1000.0, "max_memory_mib": 100.0}
        lines.append(_line("on_epoch_end", **body, **costs, histories=histories, **flat))
    lines.append(_line("on_train_end", histories=histories))
    if is_tested:
        lines.append(_line("on_test_end", metrics={"test_loss": 1.25}))
    (folder / "facts" / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "facts" / "scalars.csv").write_text(_format_scalars(n_epochs, latent_space), encoding="utf-8")
    (folder / "model.pt").write_bytes(b"a bare state dict")
    _write_hydra(folder / ".hydra", latent_space, globals_beta, sweep_dir)
    return folder


def _line(moment: str, **body: object) -> str:
    # Python writes a bare NaN, as the old writer did.
    meta = {"run_id": secrets.token_hex(4), "timestamp": "2025-11-03T14:10:00"}
    return json.dumps({"moment": moment, **body, "meta": meta})


def _format_scalars(n_epochs: int, latent_space: str) -> str:
    rows = ["epoch,split,train_loss,val_loss,metric_perplex"]
    for epoch in range(n_epochs):
        perplexity = f"{40.0 + epoch:.8g}" if latent_space == "vq" else "0"
        rows += [f"{epoch},train,{2.0 - epoch / 10:.8g},,", f"{epoch},val,,{1.5 - epoch / 10:.8g},{perplexity}"]
    return "\n".join(rows) + "\n"


def _write_hydra(folder: Path, latent_space: str, globals_beta: float | None, sweep_dir: str | None) -> None:
    folder.mkdir()
    overrides = [f"phase1/latent_space={latent_space}", "phase1.trainer.seed=1"]
    if globals_beta is not None:
        overrides.append(f"phase1.decoder.globals_beta={globals_beta}")
    config = {
        "phase1": {"trainer": {"seed": 1, "lr": 0.001, "epochs": 3}, "latent_space": {"codebook_size": 64}},
        "data": {"limit_events": None},
    }
    hydra = {"mode": "MULTIRUN" if sweep_dir else "RUN", "sweep": {"dir": sweep_dir or "multirun"}}
    texts = {"config": config, "overrides": overrides, "hydra": {"hydra": hydra}}
    for name, content in texts.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
