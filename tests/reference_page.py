"""The script that writes what stands in fields into yaml comments and docs/reference/keys.md, as a module."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "make_reference.py"


def load_reference() -> ModuleType:
    """Return the module docs/make_reference.py."""
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_reference"] = module
    spec.loader.exec_module(module)
    return module
