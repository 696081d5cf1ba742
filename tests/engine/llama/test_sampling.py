import numpy as np

from analystd.engine.llama.sampling import TOP_K, make_sampler


def scores(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, dtype=np.float32)


def test_temperature_zero_takes_the_most_likely() -> None:
    assert make_sampler(0, 1)(scores(0.1, 3, 2.9)) == 1


def test_the_same_seed_draws_the_same_tokens() -> None:
    logits = np.linspace(0, 1, 200).astype(np.float32)

    def draw(seed: int) -> list[int]:
        sampler = make_sampler(1.0, seed)
        return [sampler(logits) for _ in range(20)]

    assert draw(5) == draw(5) != draw(6)


def test_only_the_most_likely_tokens_are_drawn() -> None:
    sampler = make_sampler(100.0, 0)
    logits = np.arange(1000, dtype=np.float32)
    assert min(sampler(logits) for _ in range(300)) >= 1000 - TOP_K


def test_a_forbidden_token_is_never_drawn() -> None:
    sampler = make_sampler(2.0, 0)
    assert {sampler(scores(-np.inf, 1, -np.inf, 0.5)) for _ in range(100)} == {1, 3}


def test_an_overwhelming_token_is_the_only_one() -> None:
    sampler = make_sampler(1.0, 0)
    assert {sampler(scores(0, 50, 0)) for _ in range(50)} == {1}
