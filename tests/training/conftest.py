"""The shipped checkpoint, as the training code loads it."""

import pytest

from oneslice.sam2.locate import locate
from training.model import load_model, set_size


@pytest.fixture(scope="session")
def mini():
    """On small images, which is quick."""
    model = load_model(locate("mini").path).eval()
    set_size(model, 128)
    return model
