"""Each sampling rule, against its definition."""

from __future__ import annotations

from collections import Counter

import mlx.core as mx
import numpy as np
import pytest

from mlx_backend.sample import Sampler
from mlx_backend.types import Sampling

LOGITS = mx.array([1.0, 3.0, 2.0, 0.0, 2.5, -1.0, 9.0, 9.0])
KNOWN = 6  # the last two rows are padding, and the largest


def draws(sampling: Sampling, n: int = 300, **kwargs) -> Counter:
    sampler = Sampler(sampling, 8, KNOWN, **kwargs)
    return Counter(int(sampler(LOGITS)) for _ in range(n))


def test_greedy_never_chooses_padding():
    assert draws(Sampling(temperature=0), 3) == {1: 3}


def test_padding_is_never_drawn():
    assert set(draws(Sampling(temperature=5.0, top_p=1.0))) == set(range(KNOWN))


def test_a_seed_repeats_the_draws():
    def run(seed):
        sampler = Sampler(Sampling(temperature=1.0, seed=seed), 8, KNOWN)
        return [int(sampler(LOGITS)) for _ in range(30)]

    assert run(3) == run(3) != run(4)


def test_without_a_seed_draws_differ():
    runs = set()
    for _ in range(4):
        sampler = Sampler(Sampling(temperature=3.0, top_p=1.0), 8, KNOWN)
        runs.add(tuple(int(sampler(LOGITS)) for _ in range(30)))
    assert len(runs) > 1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k(k):
    assert set(draws(Sampling(temperature=3.0, top_p=1.0, top_k=k, seed=1))) == set([1, 4, 2, 0][:k])


@pytest.mark.parametrize(
    ("p", "kept"), [(0.0, [1]), (0.4, [1]), (0.5, [1, 4]), (0.8, [1, 4, 2]), (1.0, range(6))]
)
def test_top_p(p, kept):
    """Probabilities, ranked: 0.45, 0.27, 0.17, 0.06, 0.02, 0.01: kept is the least run that reaches p."""
    probabilities = np.exp(np.array(LOGITS[:KNOWN]))
    ranked = sorted(probabilities / probabilities.sum(), reverse=True)
    assert sum(ranked[: len(list(kept)) - 1]) <= max(p, 1e-9) or p == 0
    assert set(draws(Sampling(temperature=1.0, top_p=p, seed=1), 2000)) == set(kept)


def test_min_p():
    """Kept: whatever has at least half the best one's probability: 3.0 and 2.5, but not 2.0."""
    assert set(draws(Sampling(temperature=1.0, top_p=1.0, min_p=0.5, seed=1))) == {1, 4}


def test_temperature_sharpens():
    cold = draws(Sampling(temperature=0.2, top_p=1.0, seed=1))
    hot = draws(Sampling(temperature=2.0, top_p=1.0, seed=1))
    assert cold[1] > 250 > hot[1]


def test_frequencies_are_those_of_the_softmax():
    counts = draws(Sampling(temperature=1.0, top_p=1.0, seed=5), 4000)
    expected = np.exp(np.array(LOGITS[:KNOWN]))
    expected /= expected.sum()
    got = np.array([counts[i] for i in range(KNOWN)]) / 4000
    assert np.abs(got - expected).max() < 0.03


def chosen(sampling: Sampling, said: list[int], prompt: tuple[int, ...] = ()) -> int:
    sampler = Sampler(sampling, 8, KNOWN, prompt)
    for token in said:
        sampler.observe(mx.array(token))
    return int(sampler(LOGITS))


def test_presence_penalty_counts_once():
    assert chosen(Sampling(temperature=0, presence_penalty=0.4), [1, 1, 1]) == 1
    assert chosen(Sampling(temperature=0, presence_penalty=0.6), [1]) == 4


def test_frequency_penalty_adds_up():
    assert chosen(Sampling(temperature=0, frequency_penalty=0.2), [1, 1]) == 1
    assert chosen(Sampling(temperature=0, frequency_penalty=0.2), [1, 1, 1]) == 4


def test_repetition_penalty_counts_the_prompt():
    assert chosen(Sampling(temperature=0, repetition_penalty=1.1), [], ()) == 1
    assert chosen(Sampling(temperature=0, repetition_penalty=1.3), [], (1,)) == 4
    assert chosen(Sampling(temperature=0, repetition_penalty=1.3), [1]) == 4


def test_repetition_penalty_lowers_negative_scores():
    sampler = Sampler(Sampling(temperature=0, repetition_penalty=2.0), 3, 3, (0,))
    assert int(sampler(mx.array([-1.0, -1.5, -3.0]))) == 1
