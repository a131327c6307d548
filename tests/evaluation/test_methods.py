import numpy as np
import pytest

from oneslice.evaluation.choices import MethodName
from oneslice.evaluation.datasets import LabelledStack
from oneslice.evaluation.datasets.base import AS_STORED
from oneslice.evaluation.methods.options import Options
from oneslice.evaluation.methods.registry import MethodMaker
from oneslice.evaluation.plan import Extents, plan
from oneslice.evaluation.protocol import Overlap
from oneslice.geometry import Geometry
from oneslice.volume import LabelMap, Structure, Volume
from tests.evaluation.cohort import SPACING, make_scan

STRUCTURES = (Structure.unnamed(1), Structure.unnamed(2))


def stack(image, labels, spacing=SPACING):
    geometry = Geometry.from_parts(image.shape, spacing)
    return LabelledStack.of(Volume(image, geometry), LabelMap(labels, geometry), AS_STORED)


def requests(query, support, shots=3, extents=Extents.KNOWN):
    return [item.request for item in plan(STRUCTURES, query, support, shots, extents)]


def dice(masks, asked, query):
    return [
        Overlap.of(mask[list(r.slices)], query.mask(r.structure)[list(r.slices)]).dice
        for mask, r in zip(masks, asked, strict=True)
    ]


@pytest.fixture(scope="module")
def maker():
    return MethodMaker()


@pytest.fixture(scope="module")
def pair():
    return stack(*make_scan(0)), stack(*make_scan(1))


def test_copying_moves_nothing_on_one_grid(maker, pair):
    query, support = pair
    asked = requests(query, support)
    masks = maker.make(MethodName.COPY, Options()).segment(query.stack, support.stack, asked)
    assert np.array_equal(masks[0][4], support.labels[5] == 1)
    assert not masks[0][[0, 1, 8]].any()


def test_copying_between_grids_keeps_millimetres_from_the_centre(maker, pair):
    query, _ = pair
    image, labels = make_scan(0)
    fine = stack(*(np.repeat(np.repeat(a, 2, 0), 2, 1) for a in (image, labels)), (0.75, 0.75, 5))
    asked = requests(query, fine)
    masks = maker.make(MethodName.COPY, Options()).segment(query.stack, fine.stack, asked)
    assert np.array_equal(masks[1][3], query.labels[3] == 2)


@pytest.mark.parametrize("extents", list(Extents))
def test_registration_beats_copying_and_repeats_itself(maker, pair, extents):
    query, support = pair
    asked = requests(query, support, extents=extents)
    copied = maker.make(MethodName.COPY, Options()).segment(query.stack, support.stack, asked)
    register = maker.make(MethodName.REGISTRATION, Options()).segment
    registered = register(query.stack, support.stack, asked)
    assert sum(dice(registered, asked, query)) > sum(dice(copied, asked, query))
    again = register(query.stack, support.stack, asked)
    assert all(np.array_equal(a, b) for a, b in zip(registered, again, strict=True))


def test_registration_of_an_empty_slice(maker, pair):
    query, _ = pair
    image, labels = make_scan(1)
    image[..., 1:] = 0
    blank = stack(image, labels)
    asked = requests(query, blank)
    masks = maker.make(MethodName.REGISTRATION, Options()).segment(query.stack, blank.stack, asked)
    assert masks[0].shape == query.labels.shape


@pytest.mark.parametrize("extents", list(Extents))
@pytest.mark.parametrize("name", [MethodName.SAM2_PLAIN, MethodName.PAPER])
def test_sam2_methods_answer_what_was_asked(maker, pair, name, extents):
    query, support = pair
    asked = requests(query, support, 1, extents)
    method = maker.make(name, Options(per_query=1))
    masks = method.segment(query.stack, support.stack, asked)
    for mask, request in zip(masks, asked, strict=True):
        assert mask.shape == query.labels.shape and mask.dtype == bool
        others = [z for z in range(len(mask)) if z not in request.slices]
        assert not mask[others].any()
    assert method.describe()["model"] == "mini"


def test_the_paper_without_augmentation_is_the_plain_prompt(maker, pair):
    query, support = pair
    asked = requests(query, support)
    plain = maker.make(MethodName.SAM2_PLAIN, Options())
    paper = maker.make(MethodName.PAPER, Options(per_query=0))
    found = [m.segment(query.stack, support.stack, asked) for m in (plain, paper)]
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_structures_do_not_influence_each_other(maker, pair):
    query, support = pair
    asked = requests(query, support)
    method = maker.make(MethodName.SAM2_PLAIN, Options())
    together = method.segment(query.stack, support.stack, asked)
    alone = [method.segment(query.stack, support.stack, [request])[0] for request in asked]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))


def test_one_encoding_of_a_scan_serves_all_methods(maker):
    query, support = stack(*make_scan(0)), stack(*make_scan(1))
    asked = requests(query, support)
    plain = maker.make(MethodName.SAM2_PLAIN, Options())
    plain.segment(query.stack, support.stack, asked)
    encoded = plain._session.scan(query.stack).encoded
    before = encoded.encoded
    paper = maker.make(MethodName.PAPER, Options(per_query=0))
    paper.segment(query.stack, support.stack, asked)
    assert encoded is paper._session.scan(query.stack).encoded
    assert encoded.encoded == before == 7  # slices 1 to 7 hold one of the structures


@pytest.mark.parametrize("within", [False, True])
def test_the_default_pipeline(maker, pair, within):
    query, support = pair
    support = query if within else support
    asked = requests(query, support, extents=Extents.UNKNOWN)
    method = maker.make(MethodName.ONESLICE, Options())
    masks = method.segment(query.stack, support.stack, asked)
    assert [mask.shape for mask in masks] == [query.labels.shape] * 2
    if within:
        for mask, request in zip(masks, asked, strict=True):
            given = list(request.labelled)
            assert np.array_equal(mask[given], query.mask(request.structure)[given])
    else:
        assert not (masks[0] & masks[1]).any()
