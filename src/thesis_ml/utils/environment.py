"""The places of one environment, as the group `env` of every command gives them."""

from dataclasses import dataclass

from thesis_ml.config import require


@dataclass(frozen=True)
class EnvConfig:
    """The places of one environment; configs/env says what each key means."""

    data_root: str
    output_root: str
    user: str | None = None

    def __post_init__(self) -> None:
        for key in ("data_root", "output_root"):
            require(bool(getattr(self, key).strip()), key, "the path of a folder", getattr(self, key))
