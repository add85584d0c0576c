"""python -m thesis_ml.cli.train."""

from thesis_ml.cli.train import main

main()
