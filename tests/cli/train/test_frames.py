"""How many functions of ours lie between `main` and the loss: what a reader has to follow."""

import json
from pathlib import Path

import pytest

from command_runs import SMALL, run_commands

MOST_FRAMES = 10

COUNT = """
import json, traceback
from pathlib import Path
import thesis_ml
from thesis_ml.architectures.autoencoder.losses.mse import MSELoss

HERE = str(Path(thesis_ml.__file__).parent)
forward = MSELoss.forward

def count(self, *arguments):
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(HERE)]
    if not Path("frames.json").exists():
        Path("frames.json").write_text(json.dumps([f"{frame.filename}:{frame.name}" for frame in frames]))
    return forward(self, *arguments)

MSELoss.forward = count
"""


@pytest.mark.slow
def test_main_is_at_most_ten_frames_above_the_forward_pass_of_the_loss(tmp_path: Path) -> None:
    (outcome,) = run_commands(tmp_path, [[*SMALL, "data.limit_events=50"]], prelude=COUNT)

    frames = json.loads((tmp_path / "frames.json").read_text(encoding="utf-8"))
    assert outcome.exit_code == 0, outcome
    assert frames[0].endswith("cli/train/__init__.py:main")
    assert frames[-1].endswith(":compare")
    # The forward pass itself, which is wrapped here, is one more.
    assert len(frames) + 1 <= MOST_FRAMES, frames
