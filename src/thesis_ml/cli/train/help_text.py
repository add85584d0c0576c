"""The text of thesis-train --help, made from the loops, the groups and the composed configuration."""

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.groups import list_bases, list_groups
from thesis_ml.utils.paths import RUNS_FOLDER, SWEEPS_FOLDER, find_configs

WIDTH = 100
COMMON_KEYS = (
    "phase1.trainer.epochs",
    "phase1.trainer.batch_size",
    "phase1.trainer.lr",
    "phase1.trainer.seed",
    "phase1.trainer.device",
    "phase1.latent_space.latent_dim",
    "phase1.latent_space.codebook_size",
    "data.limit_events",
    "logging.save_artifacts",
    "name",
)
"""The ten keys that are set most often; --help skips those that the chosen groups do not have."""

TEMPLATE = """\
Train a model on collider events, or many in a sweep. Every option is a key of the configuration.

  thesis-train [group=option ...] [key=value ...]     one run
  thesis-train --multirun key=value1,value2 ...       a sweep, one job per value

Groups (group=option; * is chosen now)
{groups}

Keys set most often (key=value; the values now)
{keys}

Output
{folders}

--cfg job shows every key, --config-dir DIR adds your own files, --hydra-help tells Hydra's flags.
Exit codes: 0 done, 1 failure, 2 wrong input, 85 stopped (start it again), 130 Ctrl-C."""
FOLDER_NOTES = ("a run; elsewhere with hydra.run.dir=...", "a sweep, its jobs in 000/, 001/ ...")


def register_loop_resolvers(loops: Collection[str]) -> None:
    """Register the resolvers of configs/hydra: the names of all loops, added ones too, and the text of --help."""
    OmegaConf.register_new_resolver("list_loops", lambda: list(loops), replace=True, use_cache=False)
    OmegaConf.register_new_resolver(
        "describe_command", lambda _root_: describe_command(_root_, list(loops)), replace=True, use_cache=False
    )


def describe_command(config: DictConfig, loops: Sequence[str]) -> str:
    """Return the help for a composed configuration; a dollar is doubled, because Hydra substitutes in it."""
    choices = HydraConfig.get().runtime.choices
    root = str(config.env.output_root)
    folders = [
        f"{root}/{RUNS_FOLDER}/run_YYYYMMDD-HHMMSS_<name>/",
        f"{root}/{SWEEPS_FOLDER}/exp_YYYYMMDD-HHMMSS_<name>/",
    ]
    text = TEMPLATE.format(
        groups="\n".join(align_columns(describe_groups(choices, loops))),
        keys="\n".join(align_columns(describe_keys(config, choices))),
        folders="\n".join(align_columns(list(zip(folders, FOLDER_NOTES, strict=True)))),
    )
    return text.replace("$", "$$")


def align_columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return indented lines of two columns, the second one shortened to fit on the screen."""
    width = max(len(left) for left, _ in rows)
    room = max(WIDTH - width - 4, 20)
    return [f"  {left:<{width}}  {textwrap.shorten(right, room, placeholder=' ...')}".rstrip() for left, right in rows]


def describe_groups(choices: Mapping[str, str | None], loops: Sequence[str]) -> list[tuple[str, str]]:
    """Return every group that train.yaml composes, with the options of all folders of configurations."""
    loader = GlobalHydra.instance().config_loader()
    ours = list_groups()
    options = {group: loader.get_group_options(group) for group in ours if group in choices}
    # Hydra's own files would be options too, and a loop needs no file.
    options |= {"hydra": list(ours["hydra"]), "loop": list(loops)}
    return [(group, mark_chosen(options[group], choices.get(group))) for group in sorted(options)]


def mark_chosen(options: Sequence[str], chosen: str | None) -> str:
    """Return the options on one line, the chosen one with an asterisk."""
    return ", ".join(f"{option}*" if option == chosen else option for option in options)


def describe_keys(config: DictConfig, choices: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Return every common key with its value now, and its comment in the file that defines it."""
    plain = OmegaConf.to_container(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]))
    values = {key: value for key in COMMON_KEYS for value in _find_value(plain, key)}
    return [(f"{key}={_format_value(value)}", find_comment(key, choices)) for key, value in values.items()]


def find_comment(key: str, choices: Mapping[str, str | None]) -> str:
    """Return the comment on `key` in the yaml file of the chosen option of its group, or nothing."""
    parent, _, name = key.rpartition(".")
    group = parent.replace(".", "/")
    paths = list_bases(group, choices.get(group) or "") if group else [find_configs() / "train.yaml"]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    found = [match for text in texts if (match := re.search(rf"^\s*{name}:.*?\s# (.*)$", text, re.MULTILINE))]
    return found[0][1].strip() if found else ""


def _find_value(values: object, key: str) -> list[object]:
    """Return the value at a full key in a list, which is empty when there is no such key."""
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return []
        values = values[part]
    return [values]


def _format_value(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
