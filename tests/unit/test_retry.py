"""How long a lane is parked, and how long a connection is waited for: never longer than the bound."""

from hypothesis import given
from hypothesis import strategies as st

from worker.retry import backoff_ms, reconnect_seconds
from worker.settings import Settings

ATTEMPTS = st.integers(1, 10**9)


@given(ATTEMPTS, st.integers(1, 10**6), st.integers(1, 10**9))
def test_a_backoff_is_between_1_ms_and_its_doubled_base_and_never_over_the_cap(
    attempt: int, base: int, cap: int
) -> None:
    settings = Settings(backoff_base_ms=base, backoff_cap_ms=cap)
    bound = min(cap, base * 2 ** (min(attempt, 64) - 1))
    assert 1 <= backoff_ms(attempt, settings) <= bound


def test_no_backoff_is_0_ms_which_would_be_a_lane_that_is_not_parked() -> None:
    settings = Settings(backoff_base_ms=1, backoff_cap_ms=1)
    assert {backoff_ms(1, settings) for _ in range(100)} == {1}


def test_a_backoff_is_spread_over_all_the_time_up_to_its_bound() -> None:
    settings = Settings(backoff_base_ms=1_000, backoff_cap_ms=8_000)
    for attempt, bound in ((1, 1_000), (2, 2_000), (4, 8_000), (5, 8_000), (1_000_000, 8_000)):
        delays = [backoff_ms(attempt, settings) for _ in range(500)]
        assert min(delays) < bound * 0.1
        assert max(delays) > bound * 0.9


@given(ATTEMPTS)
def test_a_reconnection_waits_between_half_its_bound_and_its_bound_of_at_most_2_s(attempt: int) -> None:
    bound = min(2.0, 0.05 * 2.0 ** min(attempt, 10))
    assert bound / 2 <= reconnect_seconds(attempt) <= bound <= 2.0
