"""The codebook, inside `vq`: its codes, their start, their way after the latents, revival, and gradients past it."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from thesis_ml.architectures.autoencoder.bottlenecks.codebook import (
    GRADIENTS,
    Codebook,
    CodebookConfig,
    find_nearest_codes,
    rotate_gradients,
    select_evenly,
)
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck


def make_latents(n_tokens: int, width: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(seed))


def make_vq(kind: type[Codebook] = Codebook, **keys: Any) -> VQBottleneck:
    vq = VQBottleneck(VQBottleneck.Config(**{"latent_dim": 8, "codebook_size": 64, **keys}))
    if kind is not Codebook:
        vq.quantiser = kind(vq.config, vq.config.latent_dim)
    return vq


def make_placed_vq(kind: type[Codebook] = Codebook, **keys: Any) -> VQBottleneck:
    vq = make_vq(kind, **keys)
    vq(make_latents(4 * vq.config.codebook_size, vq.config.latent_dim, seed=99))
    return vq


def copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same_state(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


@contextmanager
def use_threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# --- three known mistakes; each check passes for the real class and fails for its mutant ------------------------------


class WithSums(Codebook):
    """The textbook moving average, which keeps the sums m_i in a buffer; right as it stands here."""

    sums: Tensor

    def __init__(self, config: CodebookConfig, width: int) -> None:
        super().__init__(config, width)
        self.register_buffer("sums", torch.zeros_like(self.codebook))

    def _place_codes(self, latents: Tensor) -> None:
        super()._place_codes(latents)
        self._match_sums()

    def _follow_latents(self, codes: Tensor, counts: Tensor, offsets: Tensor) -> None:
        decay = 1 - self._choose_step(codes.shape[0])
        latents = offsets + self.codebook[codes]
        self.code_usage.mul_(decay).add_((1 - decay) * counts)
        self.sums.mul_(decay).index_add_(0, codes, (1 - decay) * latents)
        self.codebook.copy_(self.sums / self.code_usage[:, None])

    def _revive_codes(self, latents: Tensor) -> None:
        super()._revive_codes(latents)
        self._match_sums()

    def _match_sums(self) -> None:
        self.sums.copy_(self.codebook * self.code_usage[:, None])


class WithUnrelatedSums(WithSums):
    """Mistake: the sums start at zero, so that the first step shrinks every code towards the origin."""

    def _match_sums(self) -> None:
        return


class WithOverwrittenRevival(WithSums):
    """Mistake: a revived code keeps its old usage and sums, so that the next step takes it back."""

    def _revive_codes(self, latents: Tensor) -> None:
        usage = self.code_usage.clone()
        Codebook._revive_codes(self, latents)
        self.code_usage.copy_(usage)


def count_used_codes(vq: VQBottleneck, latents: Tensor) -> int:
    return len(find_nearest_codes(latents, vq.quantiser.codebook).unique())


def check_codes_stay_in_use_after_the_first_step(kind: type[Codebook]) -> None:
    latents = make_latents(1024) + 5.0
    vq = make_vq(kind, codebook_size=256, revive_below=0.0, ema_fast_start=False)
    vq.quantiser._place_codes(latents)
    before = count_used_codes(vq, latents)
    for _ in range(2):
        vq(latents)
    assert count_used_codes(vq, latents) >= 0.9 * before


def check_a_revived_code_stays_where_it_was_put(kind: type[Codebook]) -> None:
    latents = make_latents(256)
    vq = make_vq(kind, codebook_size=16, revive_below=0.5)
    vq(latents)
    lose_codes(vq, 3, 4)
    vq(latents)
    place = vq.quantiser.codebook[3].clone()
    assert (place == latents).all(dim=1).any()
    vq(vq.quantiser.codebook[5].repeat(20, 1))
    assert torch.allclose(vq.quantiser.codebook[3], place, atol=1e-4)
    for _ in range(3):
        vq(latents)
    assert (find_nearest_codes(latents, vq.quantiser.codebook) == 3).any()


def lose_codes(vq: VQBottleneck, start: int, stop: int) -> None:
    """Move codes to where no latent is, as if they had not been chosen for long."""
    with torch.no_grad():
        vq.quantiser.codebook[start:stop] = 1e3
        vq.quantiser.code_usage[start:stop] = 1e-3
    if isinstance(vq.quantiser, WithSums):
        vq.quantiser.sums.copy_(vq.quantiser.codebook * vq.quantiser.code_usage[:, None])


CHECKS = [check_codes_stay_in_use_after_the_first_step, check_a_revived_code_stays_where_it_was_put]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", [Codebook, WithSums])
def test_codebook_passes_the_checks_that_its_mutants_fail(kind: type[Codebook], check: Any) -> None:
    check(kind)


@pytest.mark.parametrize(("kind", "check"), [(WithUnrelatedSums, CHECKS[0]), (WithOverwrittenRevival, CHECKS[1])])
def test_codebook_checks_fail_on_known_mistakes(kind: type[Codebook], check: Any) -> None:
    with pytest.raises(AssertionError):
        check(kind)


def test_codebook_equals_the_textbook_moving_average() -> None:
    ours, textbook = make_vq(revive_below=0.3), make_vq(WithSums, revive_below=0.3)

    for seed in range(20):
        latents = make_latents(200, seed=seed)
        ours(latents)
        textbook(latents)

    assert torch.allclose(ours.quantiser.codebook, textbook.quantiser.codebook, atol=1e-5)
    assert torch.allclose(ours.quantiser.code_usage, textbook.quantiser.code_usage, atol=1e-5)


# --- codes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_codes", [1, 2, 63, 64, 65, 128, 500, 512, 8192])
def test_find_nearest_codes_equals_brute_force_in_float64(n_codes: int) -> None:
    latents, codebook = make_latents(700), make_latents(n_codes, seed=1)

    codes = find_nearest_codes(latents, codebook)

    distances = torch.cdist(latents.double(), codebook.double())
    assert torch.equal(codes, distances.argmin(dim=1))


def test_codebook_codes_equal_those_of_scikit_learn() -> None:
    vq, latents = make_placed_vq(codebook_size=512).eval(), make_latents(1000)

    codes = vq(latents).codes

    neighbours = NearestNeighbors(n_neighbors=1).fit(vq.quantiser.codebook.double().numpy())
    expected = neighbours.kneighbors(latents.double().numpy(), return_distance=False)
    assert codes is not None
    assert np.array_equal(codes.numpy(), expected)


@pytest.mark.parametrize("n_codes", [60, 512])
@pytest.mark.parametrize("block", [1, 7, 256, 700, 10_000])
def test_find_nearest_codes_is_the_same_for_any_block(n_codes: int, block: int) -> None:
    latents, codebook = make_latents(700), make_latents(n_codes, seed=1)

    codes = find_nearest_codes(latents, codebook, block)

    assert torch.equal(codes, find_nearest_codes(latents, codebook))


def test_find_nearest_codes_takes_the_first_of_equal_codes() -> None:
    codebook = make_latents(256, seed=1).repeat(2, 1)

    codes = find_nearest_codes(make_latents(700), codebook)

    assert codes.max() < 256


@pytest.mark.parametrize("n_codes", [60, 512])
def test_find_nearest_codes_of_values_that_are_not_finite_exist(n_codes: int) -> None:
    latents = torch.tensor([[math.nan] * 8, [math.inf] * 8, [-math.inf] * 8])

    codes = find_nearest_codes(latents, make_latents(n_codes))

    assert codes.min() >= 0
    assert codes.max() < n_codes


def test_codebook_assigns_in_float32_under_autocast() -> None:
    vq, latents = make_placed_vq().eval(), make_latents(500)
    expected = vq(latents)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        latent = vq(latents)

    assert latent.values.dtype == latent.losses["commit"].dtype == torch.float32
    assert torch.equal(latent.codes, expected.codes)


def test_codebook_takes_bfloat16_latents_and_keeps_float32_codes() -> None:
    vq = make_vq()
    latents = make_latents(500).bfloat16().requires_grad_()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        latent = vq(latents)
    (latent.values.sum() + latent.losses["commit"].sum()).backward()

    assert vq.quantiser.codebook.dtype == torch.float32
    assert latents.grad is not None and latents.grad.isfinite().all()


# --- losses ---------------------------------------------------------------------------------------------


def test_codebook_commitment_loss_pulls_latents_to_their_codes() -> None:
    vq, latents = make_placed_vq(), make_latents(50).requires_grad_()
    latent = vq(latents)
    offsets = (latents - latent.values).detach()

    latent.losses["commit"].sum().backward()

    assert torch.allclose(latent.losses["commit"], offsets.square().mean(dim=1))
    assert latents.grad is not None
    assert torch.allclose(latents.grad, 2 * offsets / 8)


def test_codebook_without_ema_trains_its_codebook_by_the_codebook_loss() -> None:
    vq, latents = make_placed_vq(ema=False, revive_below=0.0), make_latents(300).requires_grad_()
    optimizer = torch.optim.SGD(vq.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = vq(latents).losses["codebook"].sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert latents.grad is None
    assert losses[-1] < 0.95 * losses[0]


def test_select_evenly_gives_distinct_rows_in_order() -> None:
    rows = torch.arange(10.0)[:, None]

    assert select_evenly(rows, 4)[:, 0].tolist() == [0, 2, 5, 7]
    assert torch.equal(select_evenly(rows, 20), rows)


# --- start ------------------------------------------------------------------------------------------------------------


def test_codebook_starts_from_distinct_latents() -> None:
    latents = make_latents(100).repeat(4, 1)
    vq = make_vq(codebook_size=100)

    vq.quantiser._place_codes(latents)

    assert int(vq.quantiser.n_placed) == 100
    assert torch.equal(vq.quantiser.codebook.unique(dim=0), latents.unique(dim=0))


def test_codebook_with_more_codes_than_tokens_places_the_rest_with_later_batches() -> None:
    vq = make_vq(codebook_size=100, ema_decay=1.0)
    first, second = make_latents(60), make_latents(60, seed=1)

    vq(first)
    after_first = vq.quantiser.codebook.clone()
    vq(torch.cat([first, second]))

    assert len(after_first.unique(dim=0)) == 100
    assert after_first.abs().max() <= first.abs().max()
    assert torch.equal(vq.quantiser.codebook[:60], after_first[:60])
    assert {tuple(row) for row in vq.quantiser.codebook[60:].tolist()} <= {tuple(row) for row in second.tolist()}
    assert int(vq.quantiser.n_placed) == 100


def test_codebook_places_no_latent_twice() -> None:
    vq, latents = make_vq(codebook_size=100, ema_decay=1.0), make_latents(60)

    for _ in range(3):
        vq(latents)

    assert int(vq.quantiser.n_placed) == 60


def test_codebook_starts_where_all_latents_are_equal() -> None:
    latent = make_vq()(torch.ones(20, 8))

    assert torch.equal(latent.values, torch.ones(20, 8))


class ElementCounter(TorchDispatchMode):
    """Count the elements that all operations write."""

    def __init__(self) -> None:
        super().__init__()
        self.n_elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.n_elements += sum(leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        return result


@pytest.mark.slow
def test_codebook_start_costs_no_more_than_another_search_per_batch() -> None:
    vq, batches = make_vq(codebook_size=8192), [make_latents(1150, seed=seed) for seed in range(9)]
    work = []
    for latents in batches:
        with ElementCounter() as counter:
            vq(latents)
        work.append(counter.n_elements)

    assert int(vq.quantiser.n_placed) == 8192
    assert max(work[:-1]) <= 2.2 * work[-1]


# --- adaptation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_codebook_codes_stay_within_the_data_they_quantise(seed: int) -> None:
    latents = make_latents(384, 4, seed)
    bottleneck = make_vq(latent_dim=4, codebook_size=16)

    for _ in range(50):
        bottleneck(latents)

    assert bottleneck.quantiser.codebook.abs().max() <= latents.abs().max()


def test_codebook_converges_to_the_means_of_its_latents() -> None:
    vq, latents = make_placed_vq(codebook_size=8, ema_decay=0.5, revive_below=0.0), make_latents(400)

    for _ in range(200):
        vq(latents)

    codes = find_nearest_codes(latents, vq.quantiser.codebook)
    means = torch.stack([latents[codes == code].mean(dim=0) for code in range(8)])
    assert torch.allclose(vq.quantiser.codebook, means, atol=1e-4)


@pytest.mark.parametrize("ema", [True, False])
def test_codebook_moves_at_most_the_allowed_number_of_codes_per_step(ema: bool) -> None:
    vq = make_placed_vq(ema=ema, revive_share=0.08, ema_decay=1.0)
    lose_codes(vq, 0, 20)
    n_lost: list[int] = []
    for seed in range(5):
        vq(make_latents(300, seed=seed))
        n_lost.append(int((vq.quantiser.codebook == 1e3).all(dim=1).sum()))

    assert n_lost == [15, 10, 5, 0, 0]
    assert (vq.quantiser.code_usage > 1).all()


@pytest.mark.slow
def test_codebook_brings_every_code_into_use_when_latents_move_away() -> None:
    vq, latents = make_placed_vq(codebook_size=64, ema_decay=0.9), make_latents(1000) * 0.3 + 20.0

    for _ in range(200):
        vq(latents)

    assert count_used_codes(vq, latents) >= 60


def test_codebook_with_decay_one_is_frozen_once_its_codes_are_placed() -> None:
    vq = make_placed_vq(ema_decay=1.0, revive_below=0.0)
    before = copy_state(vq.quantiser)

    vq(make_latents(300))

    for name in ("codebook", "code_usage", "n_placed"):
        assert torch.equal(copy_state(vq.quantiser)[name], before[name]), name


def test_codebook_changes_nothing_in_eval_mode() -> None:
    for vq in (make_vq(), make_placed_vq()):
        before = copy_state(vq.eval())

        vq(make_latents(300))

        assert_same_state(copy_state(vq), before)


def test_codebook_result_of_a_token_does_not_depend_on_its_batch_mates() -> None:
    vq, latents = make_placed_vq(codebook_size=512).eval(), make_latents(900)
    together = vq(latents)

    alone = [vq(part) for part in latents.split([1, 9, 390, 500])]

    assert torch.equal(torch.cat([latent.codes for latent in alone]), together.codes)
    assert torch.allclose(torch.cat([latent.values for latent in alone]), together.values, atol=1e-5)
    commits = torch.cat([latent.losses["commit"] for latent in alone])
    assert torch.allclose(commits, together.losses["commit"], atol=1e-5)


@pytest.mark.parametrize("ema", [True, False])
@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("is_placed", [True, False])
def test_codebook_takes_a_batch_without_tokens(ema: bool, trains: bool, is_placed: bool) -> None:
    vq = (make_placed_vq if is_placed else make_vq)(ema=ema).train(trains)
    before = copy_state(vq)
    latents = torch.zeros(0, 8, requires_grad=True)

    latent = vq(latents)
    (latent.values.sum() + sum(loss.sum() for loss in latent.losses.values())).backward()

    assert latent.codes is not None and latent.codes.shape == (0, 1)
    assert torch.equal(latent.counts["codes"], torch.zeros(64, dtype=torch.int64))
    assert_same_state(copy_state(vq), before)


@pytest.mark.parametrize("n_tokens", [1, 3])
def test_codebook_trains_on_fewer_tokens_than_it_may_revive(n_tokens: int) -> None:
    vq = make_vq(revive_below=1.0)

    for seed in range(30):
        vq(make_latents(n_tokens, seed=seed))

    assert all(value.isfinite().all() for value in vq.state_dict().values())


# --- repeatability ----------------------------------------------------------------------------------------------------


def train_vq(vq: nn.Module, seeds: range) -> dict[str, Tensor]:
    for seed in seeds:
        latents = make_latents(1500, seed=seed).requires_grad_()
        latent = vq(latents)
        (latent.values.square().sum() + sum(loss.sum() for loss in latent.losses.values())).backward()
    gradients = {"latents": latents.grad, **{name: value.grad for name, value in vq.named_parameters()}}
    return {**copy_state(vq), **{f"{name}.grad": grad.clone() for name, grad in gradients.items() if grad is not None}}


@pytest.mark.parametrize("ema", [True, False])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_codebook_repeats_to_the_last_bit(n_threads: int, ema: bool) -> None:
    with use_threads(n_threads):
        runs = [train_vq(make_vq(codebook_size=512, ema=ema), range(10)) for _ in range(3)]

    for run in runs[1:]:
        assert_same_state(run, runs[0])


@pytest.mark.parametrize("n_steps", [1, 3, 8])
def test_codebook_continues_from_its_state_to_the_last_bit(n_steps: int) -> None:
    keys: dict[str, Any] = {"codebook_size": 4096, "revive_below": 0.3}
    whole = nn.Sequential(make_vq(**keys))
    train_vq(whole, range(n_steps))
    resumed = nn.Sequential(make_placed_vq(**keys))
    resumed.load_state_dict(copy_state(whole))

    assert_same_state(train_vq(resumed, range(n_steps, 12)), train_vq(whole, range(n_steps, 12)))


def test_codebook_can_be_copied() -> None:
    vq = make_placed_vq()
    twin = copy.deepcopy(vq)

    assert_same_state(train_vq(twin, range(3)), train_vq(vq, range(3)))


# --- gradients past the codebook --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_leave_the_codes_as_they_are(name: str) -> None:
    latents, codes = make_latents(100), make_latents(100, seed=1)

    assert torch.equal(GRADIENTS[name](latents, codes), codes)


def test_rotation_is_the_one_that_turns_the_latent_into_its_code() -> None:
    latents, codes = make_latents(50), make_latents(50, seed=1)
    jacobians = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda z, q=q: rotate_gradients(z[None], q[None])[0], z)
            for z, q in zip(latents, codes, strict=True)
        ]
    )

    scales = codes.norm(dim=1) / latents.norm(dim=1)
    turned = torch.einsum("pij,pj->pi", jacobians, latents)
    squares = jacobians @ jacobians.transpose(1, 2)
    torch.testing.assert_close(turned, codes, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(squares, scales.square()[:, None, None] * torch.eye(8), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        torch.linalg.det(jacobians / scales[:, None, None]), torch.ones(50), rtol=1e-3, atol=1e-3
    )


def test_rotation_keeps_the_angle_between_gradient_and_code() -> None:
    latents, codes, slope = make_latents(50).requires_grad_(), make_latents(50, seed=1), make_latents(50, seed=2)

    (rotate_gradients(latents, codes) * slope).sum().backward()

    assert latents.grad is not None
    at_code = functional.cosine_similarity(slope, codes, dim=1)
    at_latent = functional.cosine_similarity(latents.grad, latents.detach(), dim=1)
    torch.testing.assert_close(at_latent, at_code, rtol=1e-4, atol=1e-5)


def test_rotation_equals_straight_through_where_the_latent_is_its_code() -> None:
    latents, slope = make_latents(50).requires_grad_(), make_latents(50, seed=2)

    (rotate_gradients(latents, latents.detach().clone()) * slope).sum().backward()

    torch.testing.assert_close(latents.grad, slope)


@pytest.mark.parametrize("latent", [[0.0, 0.0], [-1.0, 0.0], [1e-30, 0.0]])
def test_rotation_stays_finite_without_a_direction_and_opposite_to_the_code(latent: list[float]) -> None:
    latents, codes = torch.tensor([latent], requires_grad=True), torch.tensor([[1.0, 0.0]])

    rotate_gradients(latents, codes).sum().backward()

    assert latents.grad is not None
    assert latents.grad.isfinite().all()
    assert latents.grad.abs().max() < 10


def test_average_starts_fast_only_where_a_batch_has_half_as_many_tokens_as_codes() -> None:
    few, enough = (make_vq(codebook_size=256).quantiser._choose_step(n_tokens) for n_tokens in (127, 128))

    assert few == pytest.approx(0.01)
    assert float(enough) == pytest.approx(39 / 40)
