"""python -m thesis_ml.cli.reports."""

from thesis_ml.cli.entry import report

report()
