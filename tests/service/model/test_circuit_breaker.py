"""When a circuit opens, for how long, and which requests are trials."""

import pytest
from structlog.testing import capture_logs

from service.model import errors
from service.model.circuit_breaker import BreakerPolicy, CircuitBreaker, Permit
from tests.service.model.scripted import Time

POLICY = BreakerPolicy(failures=3, pause=5.0, longest=15.0)
NOT_ABOUT_HEALTH = [
    errors.MODEL_REFUSED,
    errors.MODEL_EMPTY,
    errors.MODEL_INVALID,
    errors.MODEL_MISCONFIGURED,
    errors.MODEL_RATE_LIMITED,
]


def permit_of(breaker: CircuitBreaker) -> Permit:
    permit = breaker.admit()
    assert isinstance(permit, Permit)
    return permit


def fail(breaker: CircuitBreaker, times: int = 1, code: str = errors.MODEL_OVERLOADED) -> None:
    for _ in range(times):
        breaker.failed(permit_of(breaker), code)


def is_closed(breaker: CircuitBreaker) -> bool:
    """Whether two requests are admitted at the same time."""
    return isinstance(breaker.admit(), Permit) and isinstance(breaker.admit(), Permit)


def opened(time: Time, policy: BreakerPolicy = POLICY) -> CircuitBreaker:
    breaker = CircuitBreaker("a-model", policy, time)
    fail(breaker, policy.failures)
    return breaker


def test_a_new_circuit_is_closed() -> None:
    breaker = CircuitBreaker("a-model", POLICY)
    assert is_closed(breaker)
    assert breaker.seconds_left() == 0


@pytest.mark.parametrize(
    "code",
    [
        errors.MODEL_OVERLOADED,
        errors.MODEL_UNAVAILABLE,
        errors.MODEL_TIMEOUT,
        errors.MODEL_INTERRUPTED,
    ],
)
def test_a_number_of_failures_in_a_row_opens_the_circuit(code: str) -> None:
    breaker = CircuitBreaker("a-model", POLICY, Time())
    fail(breaker, 2, code)
    assert is_closed(breaker)
    fail(breaker, 1, code)
    assert breaker.admit() == breaker.seconds_left() == 5.0


def test_a_success_resets_the_count() -> None:
    breaker = CircuitBreaker("a-model", POLICY, Time())
    fail(breaker, 2)
    breaker.succeeded(permit_of(breaker))
    fail(breaker, 2)
    assert is_closed(breaker)


@pytest.mark.parametrize("code", NOT_ABOUT_HEALTH)
def test_failures_that_say_nothing_about_health_do_not_count(code: str) -> None:
    breaker = CircuitBreaker("a-model", POLICY, Time())
    fail(breaker, 9, code)
    assert is_closed(breaker)
    fail(breaker, 2)
    fail(breaker, 9, code)
    assert is_closed(breaker)
    fail(breaker)
    assert not is_closed(breaker)


@pytest.mark.parametrize(("retry_after", "seconds"), [(9.0, 9.0), (3600.0, 15.0)])
def test_a_rate_limit_with_a_pause_opens_the_circuit_for_a_bounded_pause(
    retry_after: float, seconds: float
) -> None:
    breaker = CircuitBreaker("a-model", POLICY, Time())
    breaker.failed(permit_of(breaker), errors.MODEL_RATE_LIMITED, retry_after)
    assert breaker.admit() == seconds


def test_a_trial_that_fails_after_a_rate_limit_opens_it_again() -> None:
    time = Time()
    breaker = CircuitBreaker("a-model", POLICY, time)
    breaker.failed(permit_of(breaker), errors.MODEL_RATE_LIMITED, 9.0)
    time.spend(9.0)
    fail(breaker)
    assert breaker.seconds_left() == 5.0


def test_the_time_left_runs_down() -> None:
    time = Time()
    breaker = opened(time)
    time.spend(3.0)
    assert breaker.admit() == breaker.seconds_left() == 2.0


def test_after_the_pause_trials_are_admitted_one_at_a_time() -> None:
    time = Time()
    breaker = opened(time)
    time.spend(5.0)
    trial = permit_of(breaker)
    assert breaker.admit() == 5.0
    breaker.succeeded(trial)
    assert is_closed(breaker)


def test_the_pause_doubles_up_to_the_longest_while_trials_fail() -> None:
    time = Time()
    breaker = opened(time)
    pauses = [breaker.seconds_left()]
    for _ in range(3):
        time.spend(breaker.seconds_left())
        fail(breaker)
        pauses.append(breaker.seconds_left())
    assert pauses == [5.0, 10.0, 15.0, 15.0]


def test_a_success_makes_the_next_pause_short_again() -> None:
    time = Time()
    breaker = opened(time)
    time.spend(5.0)
    fail(breaker)
    time.spend(10.0)
    breaker.succeeded(permit_of(breaker))
    fail(breaker, 3)
    assert breaker.seconds_left() == 5.0


def test_a_released_trial_returns_its_permit() -> None:
    time = Time()
    breaker = opened(time)
    time.spend(5.0)
    breaker.release(permit_of(breaker))
    permit_of(breaker)
    assert not is_closed(breaker)


@pytest.mark.parametrize("code", NOT_ABOUT_HEALTH)
def test_a_trial_without_an_outcome_returns_its_permit_and_does_not_close(code: str) -> None:
    time = Time()
    breaker = opened(time)
    time.spend(5.0)
    fail(breaker, code=code)
    permit_of(breaker)
    assert not is_closed(breaker)


def test_a_release_does_not_change_a_closed_circuit() -> None:
    breaker = CircuitBreaker("a-model", POLICY, Time())
    breaker.release(permit_of(breaker))
    assert is_closed(breaker)


def test_permits_from_before_the_opening_are_void() -> None:
    time = Time()
    breaker = CircuitBreaker("a-model", POLICY, time)
    early = permit_of(breaker)
    fail(breaker, 3)
    breaker.failed(early, errors.MODEL_OVERLOADED)
    breaker.failed(early, errors.MODEL_RATE_LIMITED, 9.0)
    breaker.succeeded(early)
    assert breaker.admit() == 5.0
    time.spend(5.0)
    trial = permit_of(breaker)
    breaker.failed(early, errors.MODEL_OVERLOADED)
    breaker.release(early)
    breaker.succeeded(early)
    assert breaker.admit() == 5.0
    breaker.succeeded(trial)
    assert is_closed(breaker)


def test_a_pause_is_bounded_by_the_longest() -> None:
    breaker = opened(Time(), BreakerPolicy(failures=1, pause=30.0, longest=10.0))
    assert breaker.seconds_left() == 10.0


def test_opening_and_closing_are_logged_with_the_models_name() -> None:
    time = Time()
    with capture_logs() as lines:
        breaker = opened(time)
        time.spend(5.0)
        breaker.succeeded(permit_of(breaker))
        breaker.succeeded(permit_of(breaker))
    assert [(line["event"], line["model"]) for line in lines] == [
        ("circuit_opened", "a-model"),
        ("circuit_closed", "a-model"),
    ]
    assert (lines[0]["code"], lines[0]["seconds"]) == (errors.MODEL_OVERLOADED, 5.0)
