"""The folders of one environment, as set by the group `env` of every command."""

import getpass
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from thesis_ml.errors import ConfigError
from thesis_ml.limits import Text

USER_VARIABLE = "THESIS_CLUSTER_USER"
OUTPUT_VARIABLE = "THESIS_OUTPUT_ROOT"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnvConfig:
    """The folders of one environment."""

    data_root: Annotated[str, Text("the path of a folder"), "folder of the data files"]
    output_root: Annotated[str, Text("the path of a folder"), "folder that gets runs/, multiruns/ and reports/"]
    user: Annotated[str | None, "name of the user on the cluster"] = None


def check_user(env: EnvConfig, written: object) -> None:
    """Refuse to write into the folder of a default user who is somebody else.

    Args:
        env: The environment.
        written: Its keys as the configuration holds them, with references to variables and other keys.

    Raises:
        ConfigError: No variable and no key says who the user is or where outputs go.
    """
    if not isinstance(written, Mapping):
        return
    is_default = USER_VARIABLE in str(written.get("user")) and "env.user" in str(written.get("output_root"))
    if not is_default or os.environ.get(USER_VARIABLE) or os.environ.get(OUTPUT_VARIABLE):
        return
    try:
        login = getpass.getuser()
    except (OSError, KeyError, ImportError):
        log.warning("the login name is not known; outputs go to %s, of user %s", env.output_root, env.user)
        return
    if login != env.user:
        raise ConfigError(
            f"env.user: outputs would go to {env.output_root}, and the login name is {login!r}, not {env.user!r}; "
            f"set {USER_VARIABLE} to your name on the cluster, or {OUTPUT_VARIABLE} to a folder"
        )
