from dataclasses import replace

import numpy as np
import pytest
import torch

from oneslice.carrying import CarryingPrompter
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.frames import Frames, Window
from oneslice.matching import make_descriptor
from oneslice.prepared import prepare
from oneslice.settings import Settings
from oneslice.support import Support
from oneslice.volume import LabelMap
from tests.cohort import MIDDLE, SHORT, patient

ONE, OTHER = patient(1), patient(2, SHORT)


def labelled_on(made, slices):
    """A patient as a support with these slices labelled."""
    labels = np.zeros_like(made.labels.array)
    labels[..., slices] = made.labels.array[..., slices]
    truth = made.labels
    return Support(made.image, LabelMap(labels, truth.geometry, truth.structures))


def prompter_of(segmenter, supports, made, indices):
    """Prompts for some slices of a patient, prepared."""
    engine, clock = segmenter._engine, Stopwatch()
    descriptor = make_descriptor(Settings().metric)
    prepared = prepare(engine, descriptor, supports, Settings(), 1, clock)
    frames = Frames(made.image, supports[0].view, Window.of(made.image), 128)
    queries = EncodedFrames(engine, frames, 2**30, clock)
    prompter = prepared.prompter(engine, queries, clock)
    assert isinstance(prompter, CarryingPrompter)
    ticks = []
    prompter.prepare(indices, lambda: ticks.append(1))
    assert len(ticks) == len(indices)
    return prompter, prepared.pool


def test_onto_itself_a_labelled_slice_carries_its_masks_over(segmenter):
    prompter, pool = prompter_of(segmenter, [ONE.support], ONE, [MIDDLE])
    carried = prompter.prompt(MIDDLE).carried
    assert (carried - pool.masks(0)).abs().mean() < 0.01
    assert (prompter.match(MIDDLE).distance < 0.02).all()


def test_the_labelled_slice_that_fits_is_chosen(segmenter):
    slices = [MIDDLE - 3, MIDDLE, MIDDLE + 3]
    prompter, pool = prompter_of(segmenter, [labelled_on(ONE, slices)], ONE, slices)
    for entry, index in enumerate(slices):
        shown = pool.eligible()[entry]
        assert shown.any() and (prompter.match(index).chosen[shown] == entry).all()


def test_only_slices_that_speak_nearby_are_registered(segmenter):
    """All labelled slices are tried on every fourth slice; between, those that spoke there."""
    everywhere = labelled_on(ONE, list(range(ONE.image.array.shape[2])))
    prompter, pool = prompter_of(segmenter, [everywhere], ONE, list(range(2, 9)))
    registered = {n: found.costs.isfinite() for n, found in prompter._slices.items()}
    assert sorted(registered) == list(range(2, 9))
    for index in (2, 6, 8):
        assert torch.equal(registered[index], pool.eligible())
    for index in (3, 4, 5, 7):
        assert registered[index].any(0).all()
        assert registered[index].sum() < registered[2].sum()
        chosen = prompter.match(index).chosen
        assert {pool.describe(int(entry))["slice"] for entry in chosen} == {index}


def test_two_scans_carry_together(segmenter):
    supports = [ONE.support, patient(3).support]
    prompter, pool = prompter_of(segmenter, supports, OTHER, [0, 1, 2])
    assert pool.scans().tolist() == [0, 1]
    weights = torch.stack([prompter._weights[index] for index in range(3)])
    assert torch.allclose(weights.sum(1), torch.ones(3, weights.shape[2]))
    assert (weights > 0.01).all()


def test_of_two_slices_the_one_that_fits_a_place_has_its_say_there(segmenter):
    """Two labelled slices with equal weights; each fits one half of the query."""
    slices = [MIDDLE - 2, MIDDLE + 2]
    prompter, pool = prompter_of(segmenter, [labelled_on(ONE, slices)], ONE, [MIDDLE])
    registered = prompter._slices[MIDDLE]
    both = pool.eligible().all(0).nonzero()[:, 0]
    prompter._weights[MIDDLE][:, both] = 0.5
    half = torch.zeros_like(registered.misfit)
    left = registered.pairs[:, 0] == 0
    half[left, :, : half.shape[2] // 2], half[~left, :, half.shape[2] // 2 :] = 1, 1
    alone = {}
    for entry in (0, 1):
        prompter._weights[MIDDLE][:, both] = torch.eye(2)[entry][:, None]
        alone[entry] = prompter._carry(MIDDLE, 128)[both]
    prompter._weights[MIDDLE][:, both] = 0.5
    prompter._slices[MIDDLE] = replace(registered, misfit=half)
    carried = prompter._carry(MIDDLE, 128)[both]
    assert torch.allclose(carried[..., :60], alone[1][..., :60], atol=1e-3)
    assert torch.allclose(carried[..., 68:], alone[0][..., 68:], atol=1e-3)


@pytest.mark.parametrize("indices", [[], [0]])
def test_any_number_of_slices_can_be_prepared(indices, segmenter):
    prompter, _ = prompter_of(segmenter, [ONE.support], OTHER, indices)
    assert sorted(prompter._slices) == indices
