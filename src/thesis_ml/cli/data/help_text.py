"""The text of thesis-data --help, made from the first lines of the recipes without composing one."""

import textwrap
from pathlib import Path

from thesis_ml.cli.named_configs import NamedConfigs, list_own_folders
from thesis_ml.utils.paths import find_configs

WIDTH = 120

TEMPLATE = """\
Convert events of an experiment to one HDF5 file that thesis-train reads.

  thesis-data --config-name inspect inputs=FILE
  thesis-data --config-name RECIPE inputs=FILE output=Data/my.h5
  thesis-data --config-name RECIPE 'inputs={{ttbar: a.root, ttH: [b.root, "c/*.root"]}}' output=Data/my.h5

Recipes (RECIPE)
{recipes}

Keys set most often
  inputs=FILE                              a file, wildcards, a list of them, or these by class (labels 0, 1, ...)
  output=FILE.h5                           what is written, with the sheet of decisions beside it as FILE.yaml
  'select="abs(eta) < 2.5"'                which objects are kept; pt, E, mass in GeV
  'objects.jet.select="pt > 30"'           which jets are kept
  'event="count(\\"jet\\") >= 4"'            which events are kept
  weight=genWeight                         a column or an expression
  max_objects=20                           most objects of an event, those of largest pT
  layout=ragged                            table (2 + 5T columns) | ragged; auto chooses
  limit=1000                               events read of each file
  n_workers=2                              processes
  on_error=skip                            go on without a broken file
  overwrite=true                           replace an output that exists

--cfg job shows every key of a recipe, --config-dir DIR adds your own recipes, --hydra-help tells Hydra's flags.
Exit codes: 0 done, 1 failure, 2 wrong input, 130 Ctrl-C."""


def describe_recipes(recipes: NamedConfigs) -> str:
    """Return the help."""
    folders = [find_configs() / recipes.folder, *list_own_folders(recipes.folder)]
    rows = {path.stem: _read_first_line(path) for folder in folders for path in sorted(folder.glob("[!_]*.yaml"))}
    width = max(map(len, rows), default=0)
    room = max(WIDTH - width - 4, 20)
    lines = [f"  {name:<{width}}  {textwrap.shorten(rows[name], room, placeholder=' ...')}" for name in sorted(rows)]
    return TEMPLATE.format(recipes="\n".join(line.rstrip() for line in lines))


def _read_first_line(path: Path) -> str:
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, ValueError):
        return "(cannot be read)"
    return first.removeprefix("#").strip() if first.startswith("#") else ""
