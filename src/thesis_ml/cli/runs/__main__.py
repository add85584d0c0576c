"""python -m thesis_ml.cli.runs"""

from thesis_ml.cli.runs import main

if __name__ == "__main__":
    main()
