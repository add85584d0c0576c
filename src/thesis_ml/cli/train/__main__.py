"""python -m thesis_ml.cli.train."""

from thesis_ml.cli.entry import train

train()
