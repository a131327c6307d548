import time

import pytest

from oneslice.clock import Stopwatch


def test_a_stage_within_another_pauses_it():
    clock, start = Stopwatch(), time.perf_counter()
    with clock.stage("outer"):
        time.sleep(0.02)
        with clock.stage("inner"):
            time.sleep(0.06)
        time.sleep(0.02)
    total = time.perf_counter() - start
    assert clock.seconds["inner"] >= 0.06 and clock.seconds["outer"] >= 0.04
    assert sum(clock.seconds.values()) <= total


def test_stages_add_up_and_end_with_an_error():
    clock = Stopwatch()
    for _ in range(2):
        with pytest.raises(KeyError), clock.stage("work"):
            time.sleep(0.01)
            raise KeyError
    time.sleep(0.05)
    with clock.stage("rest"):
        pass
    assert set(clock.report()) == {"work", "rest"}
    assert clock.report()["work"] >= 0.02 and clock.report()["rest"] < 0.04
