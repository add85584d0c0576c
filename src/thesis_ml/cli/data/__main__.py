"""python -m thesis_ml.cli.data."""

from thesis_ml.cli.data import main

main()
