import json

import numpy as np
import pytest

from oneslice.choices import Metric, Modality, Strategy
from oneslice.errors import InputError
from oneslice.frames import Window
from oneslice.settings import Settings


def test_names_are_taken_for_choices():
    settings = Settings(strategy="sequence", metric="ncc", modality="ct")
    assert settings.strategy is Strategy.SEQUENCE and settings.metric is Metric.NCC
    assert settings.modality is Modality.CT and Settings().modality is None


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "both"},
        {"metric": "psnr"},
        {"modality": "pet"},
        {"search": None},
        {"window": (0, 400)},
        {"augmentations": 4},
        {"seed": 2**70},
        {"seed": "1"},
        {"min_fragment": -0.1},
        {"min_fragment": 1.5},
        {"min_fragment": "0.1"},
        {"appearance": float("nan")},
        {"seed": 1.0},
        {"memory": 0},
        {"memory": 1.5},
        {"memory": "1024"},
        {"trim": "no"},
        {"every_slice": 1},
        {"policy": None},
    ],
)
def test_bad_settings_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        Settings(**options)


def test_they_describe_themselves_in_plain_values():
    window = Window(np.float32(-1), np.int16(2))
    settings = Settings(
        window=window, modality=Modality.MR, seed=np.int64(7), carried=np.float32(1)
    )
    described = settings.describe()
    again = json.loads(json.dumps(described))
    assert again == described
    assert (again["window"], again["modality"], again["seed"]) == ([-1, 2], "mr", 7)
    assert again["augmentations"] == "16" and again["policy"]["rotation"] > 0


def test_a_description_is_a_copy():
    settings = Settings()
    settings.describe()["policy"]["hue"] = 123
    assert settings.policy.hue < 1


def test_features_of_supports_and_query_share_the_memory():
    assert Settings(memory=100).feature_budget * 2 == 100 * 2**20
