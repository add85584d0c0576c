"""python -m thesis_ml.cli.data."""

from thesis_ml.cli.entry import data

data()
