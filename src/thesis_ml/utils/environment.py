"""The folders of one environment, as set by the group `env` of every command."""

from dataclasses import dataclass
from typing import Annotated

from thesis_ml.limits import Text


@dataclass(frozen=True)
class EnvConfig:
    """The folders of one environment."""

    data_root: Annotated[str, Text("the path of a folder"), "folder of the data files"]
    output_root: Annotated[str, Text("the path of a folder"), "folder that gets runs/, multiruns/ and reports/"]
    user: Annotated[str | None, "name of the user on the cluster"] = None
