"""Compressions without a model: fitted at the codebook sizes of the models, or blank with a reason, and kept."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from thesis_ml.architectures.autoencoder.bottlenecks.linear import LinearBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, EventSplits, take_first
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.config import parse_report
from thesis_ml.reports.contents import Reference
from thesis_ml.reports.inference import compression
from thesis_ml.reports.inference.compression import MOST_SECONDS, codes, fit_references
from thesis_ml.reports.inference.compression.cache import read_references
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel


@pytest.fixture(scope="module")
def stored() -> EventSplits:
    return load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig()))


def load(restored: RestoredModel, size: int | None, train_classes: tuple[int, ...] | None = None) -> LoadedModel:
    """Return the model as if its codebook had this size, or as if it had none."""
    latent_space = LinearBottleneck.Config() if size is None else VQBottleneck.Config(codebook_size=size)
    config = replace(restored.config, latent_space=latent_space)
    return LoadedModel(ScoredModel(f"vq {size}", "vq", 0, "run", train_classes), replace(restored, config=config), None)


def fit(
    stored: EventSplits, *models: LoadedModel, baselines: tuple[str, ...] = ("kmeans",), most_s: float = MOST_SECONDS
) -> tuple[Reference, ...]:
    events = stored.splits["test"]
    data = LoadedData(stored, "", "test", events, events, events, (0,), None)
    config = InferenceConfig(enabled=True, baselines=baselines)
    return fit_references(Context(config, models, {}, data, None, {}, {}, Clock()), most_s)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESIS_CACHE_ROOT", str(tmp_path / "cache"))
    monkeypatch.setattr(compression, "CODEBOOKS", (4,))
    return tmp_path / "cache"


def encode_tokens(model: LoadedModel, events: Events) -> torch.Tensor:
    return encode_events(events, model.restored.normalizer).features


def measure_random(model: LoadedModel, stored: EventSplits, n_codes: int, seed: int) -> float:
    """Return the error of test tokens that are replaced by the nearest of randomly drawn training tokens."""
    train, test = (encode_tokens(model, stored.splits[name]) for name in ("train", "test"))
    centres = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n_codes]]
    nearest = centres[torch.cdist(test, centres).argmin(dim=1)]
    return float(wrap_differences(nearest - test, model.restored.dims).square().mean())


def test_kmeans_at_the_codebook_size_beats_random_centres(restored_run: RestoredModel, stored: EventSplits) -> None:
    model = load(restored_run, 16)

    _, reference = fit(stored, model)

    assert (reference.name, reference.bits, reference.remark) == ("kmeans", 4.0, "")
    assert 0 < reference.rec_mse < min(measure_random(model, stored, 16, seed) for seed in range(5))


def test_every_codebook_size_has_one_reference_and_more_codes_a_smaller_error(
    restored_run: RestoredModel, stored: EventSplits
) -> None:
    references = fit(stored, load(restored_run, 64), load(restored_run, 16), load(restored_run, 16))

    assert [one.bits for one in references] == [2.0, 4.0, 6.0]
    errors = [one.rec_mse for one in references]
    assert errors == sorted(errors, reverse=True) and errors[2] < 0.6 * errors[0]


def test_too_few_tokens_leave_the_error_blank_with_a_reason(restored_run: RestoredModel, stored: EventSplits) -> None:
    few = take_first(stored.splits["train"], 5)
    fewer = replace(stored, splits={**stored.splits, "train": few})

    for baselines in (("kmeans",), ("kmeans_place",), ("residual_kmeans",)):
        reference = fit(fewer, load(restored_run, 64), baselines=baselines)[-1]

        assert math.isnan(reference.rec_mse)
        assert reference.remark == f"not fitted: {few.n_tokens} tokens are too few"


def test_fits_that_take_too_long_leave_the_others_blank_with_a_reason(
    restored_run: RestoredModel, stored: EventSplits
) -> None:
    first, second = fit(stored, load(restored_run, 16), most_s=1e-9)

    # The time of the first fit says what the next one would take.
    assert first.rec_mse > 0 and second.remark == "not fitted: more than 1e-09 s"


def test_too_large_codebooks_have_no_reference(restored_run: RestoredModel, stored: EventSplits) -> None:
    assert [one.bits for one in fit(stored, load(restored_run, 8192))] == [2.0]


def test_every_kind_errs_less_with_more_bits_and_says_what_events_look_like(
    restored_run: RestoredModel, stored: EventSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "STAGE_CODES", 16)
    kinds = ("kmeans", "kmeans_place", "per_feature", "residual_kmeans")

    references = fit(stored, load(restored_run, 16), baselines=kinds)

    for kind in kinds:
        own = [one for one in references if one.name == kind]
        errors = [one.rec_mse for one in own]
        assert len(own) >= 2 and errors == sorted(errors, reverse=True), kind
        assert all(0 < one.entropy_bits <= one.bits + 1e-9 for one in own), kind
        assert all(one.jet_mass > 0 and one.m_jj > 0 and 0.4 < one.two_sample <= 1 for one in own), kind
    assert {round(one.type_bits, 6) for one in references} == {round(references[0].type_bits, 6)}


def test_numbers_are_kept_for_the_next_report_and_nothing_else_is_read(
    restored_run: RestoredModel, stored: EventSplits, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit(stored, load(restored_run, 16))
    (file,) = own_cache.iterdir()
    monkeypatch.setattr(compression, "measure_kind", None)

    assert fit(stored, load(restored_run, 16)) == first

    for wrong in ("", "{}", '[{"name": "kmeans"}]', file.read_text().replace('"kmeans"', "1")):
        file.write_text(wrong)
        assert read_references(file) is None


def test_references_are_off_without_baselines(restored_run: RestoredModel, stored: EventSplits, compose_report) -> None:
    keys = ("inputs.sweep_dir=x", "inference.enabled=true", "inference.baselines=[]")

    config = parse_report(compose_report("compare_tokenizers", *keys)).inference

    assert config.baselines == ()
    assert fit(stored, load(restored_run, 16), baselines=config.baselines) == ()


def test_tokens_are_of_the_classes_that_the_model_was_trained_on(
    restored_run: RestoredModel, stored: EventSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(
        compression, "measure_kind", lambda name, samples, *_: seen.append(samples.train.n_tokens) or ()
    )

    fit(stored, load(restored_run, 16, train_classes=(0,)))

    train = stored.splits["train"]
    assert seen == [int(train.lengths[train.labels == 0].sum())]
