"""What every loop returns."""

RESULT_KEYS = {
    "best_monitor",
    "best_val_loss",
    "best_epoch",
    "final_train_loss",
    "final_val_loss",
    "test_loss",
    "rec_mse",
    "run_dir",
}


def without_folder(result: dict) -> dict:
    """Return what two runs of the same numbers share."""
    return {key: value for key, value in result.items() if key != "run_dir"}
