import numpy as np
import pytest

from oneslice.checks import number, whole
from oneslice.errors import InputError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_become_python_s(value):
    assert whole(value, "count", 0, 3) == 3 and type(whole(value, "count", 0)) is int


@pytest.mark.parametrize("value", [-1, 4, 2.0, "2", None, True, np.float32(1)])
def test_what_is_no_whole_number_of_the_range_is_refused(value):
    with pytest.raises(InputError, match="count is a whole number from 0 to 3, not"):
        whole(value, "count", 0, 3)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.5), np.int8(1)])
def test_numbers_become_python_s(value):
    assert number(value, "share", 0, 1) == float(value)
    assert type(number(value, "share", 0, 1)) is float


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), "0.5", None, False])
def test_what_is_no_number_of_the_range_is_refused(value):
    with pytest.raises(InputError, match="share is a finite number from 0 to 1, not"):
        number(value, "share", 0, 1)


def test_the_message_names_only_the_ends_that_there_are():
    with pytest.raises(InputError, match="size is a whole number from 1 up, not 0"):
        whole(0, "size", 1)
    with pytest.raises(InputError, match="low is a finite number, not inf"):
        number(float("inf"), "low")
