"""Keys of inference that cannot be obeyed are refused with the remedy."""

from pathlib import Path

import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.reports.analyses import compare_tokenizers


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inference.export=tokens", r"inference.export: .*'tokens'.*codes.*latents.*reconstruction"),
        ("inference.export=codes", "inference.export: must be given with inference.enabled=true, got 'codes'"),
        ("inference.downstream=true", "inference.downstream: must be given with inference.enabled=true, got True"),
    ],
)
def test_keys_that_cannot_be_obeyed_are_refused(override: str, message: str, tmp_path: Path, compose_report) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_tokenizers.run_report(compose_report("compare_tokenizers", f"inputs.sweep_dir={tmp_path}", override))
