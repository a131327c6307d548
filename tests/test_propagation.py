from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from oneslice.choices import Strategy
from oneslice.clock import Stopwatch
from oneslice.encoded import EncodedFrames
from oneslice.frames import Frames, Window
from oneslice.fusion import Blend
from oneslice.matching import make_descriptor
from oneslice.prepared import prepare
from oneslice.prompting import PoolMemories
from oneslice.propagation import Case, propagate
from oneslice.sam2.engine import Engine
from oneslice.sam2.state import ABSENT, Remembered
from oneslice.settings import Settings
from tests.cohort import MIDDLE, patient

ROOMY = 2**30
QUERY, SUPPORT = patient(2), patient(1)


@pytest.fixture(scope="module")
def prepared(segmenter):
    settings, descriptor = Settings(search="pool"), make_descriptor(Settings().metric)
    return prepare(segmenter._engine, descriptor, [SUPPORT.support], settings, 9, Stopwatch())


@pytest.fixture(scope="module")
def frames():
    support = SUPPORT.support
    return list(Frames(QUERY.image, support.view, Window.of(QUERY.image), 128))


def case_of(segmenter, prepared, images, budget=ROOMY, known=None):
    engine = segmenter._engine
    queries = EncodedFrames(engine, images, budget, Stopwatch())
    prompter = prepared.prompter(engine, queries, Stopwatch())
    return Case(engine, queries, prompter, Blend(100), known or {})


def run(case, strategy):
    return {result.index: result.logits for result in propagate(case, strategy)}


def test_pairwise_slices_do_not_depend_on_each_other(segmenter, prepared, frames):
    whole = run(case_of(segmenter, prepared, frames), Strategy.PAIRWISE)
    assert list(whole) == list(range(len(frames)))
    order = [7, 2, 5]
    part = run(case_of(segmenter, prepared, [frames[i] for i in order]), Strategy.PAIRWISE)
    assert all(torch.equal(part[n], whole[i]) for n, i in enumerate(order))


def test_pairwise_results_do_not_depend_on_what_was_done_before(segmenter, prepared, frames):
    first = run(case_of(segmenter, prepared, frames), Strategy.PAIRWISE)
    settings, descriptor = Settings(search="pool"), make_descriptor(Settings().metric)
    fresh = prepare(segmenter._engine, descriptor, [SUPPORT.support], settings, 9, Stopwatch())
    backwards = run(case_of(segmenter, fresh, frames[::-1]), Strategy.PAIRWISE)
    last = len(frames) - 1
    assert all(torch.equal(backwards[last - i], logits) for i, logits in first.items())


def test_sequence_goes_outward_from_the_best_matched_slice(segmenter, prepared, frames):
    case = case_of(segmenter, prepared, frames)
    order = [result.index for result in propagate(case, Strategy.SEQUENCE)]
    best = min(range(len(frames)), key=lambda n: float(case.prompter.match(n).distance.mean()))
    assert order == [*range(best, len(frames)), *range(best - 1, -1, -1)]
    assert 0 < best < len(frames) - 1


def test_sequence_starts_like_pairwise_and_then_remembers(segmenter, prepared, frames):
    pairwise = run(case_of(segmenter, prepared, frames), Strategy.PAIRWISE)
    sequence = run(case_of(segmenter, prepared, frames), Strategy.SEQUENCE)
    start = next(iter(sequence))
    assert torch.equal(sequence[start], pairwise[start])
    others = [i for i in sequence if i != start and (pairwise[i] > 0).any()]  # absent is absent
    assert others and not any(torch.equal(sequence[i], pairwise[i]) for i in others)


def test_each_slice_of_a_sequence_sees_its_neighbours_at_their_distance(
    segmenter, prepared, frames
):
    """By the plain definition: slice s is |t - s| frames away, the support beyond them all."""
    found = run(case_of(segmenter, prepared, frames), Strategy.SEQUENCE)
    case, engine = case_of(segmenter, prepared, frames), segmenter._engine
    start, remembered = next(iter(found)), {}
    for t in found:
        before = range(t - 1, start - 1, -1) if t >= start else range(t + 1, start + 1)
        past = list(before)[: engine.max_distance]
        prompt = case.prompter.prompt(t)
        context = [Remembered(prompt.memory, len(past) + 1, prompted=True)]
        context += [Remembered(remembered[s], abs(t - s), prompted=False) for s in past]
        features = case.queries.features([t, t, t])
        prediction = engine.segment(features, [0, 1, 2], context, frames=len(past) + 2)
        remembered[t] = engine.remember_prediction(features, prediction)
        assert torch.equal(found[t], prediction.logits)
    assert max(abs(t - start) for t in found) > engine.max_distance


def test_both_directions_of_a_sequence_start_from_the_same_memory(segmenter, prepared, frames):
    """Mirrored in z, a volume gives the mirrored result: neither direction sees the other."""
    forth = run(case_of(segmenter, prepared, frames), Strategy.SEQUENCE)
    back = run(case_of(segmenter, prepared, frames[::-1]), Strategy.SEQUENCE)
    last = len(frames) - 1
    assert all(torch.equal(back[last - i], logits) for i, logits in forth.items())


@pytest.mark.parametrize("strategy", list(Strategy))
def test_known_slices_are_left_out(strategy, segmenter, prepared, frames):
    known = {3: torch.zeros(3, 128, 128), 6: torch.ones(3, 128, 128)}
    case = case_of(segmenter, prepared, frames, known=known)
    assert set(run(case, strategy)) == set(range(len(frames))) - {3, 6}


def test_a_sequence_takes_what_is_known_into_account(segmenter, prepared, frames):
    plain = run(case_of(segmenter, prepared, frames), Strategy.SEQUENCE)
    start = next(iter(plain))
    known = {start: torch.zeros(3, 128, 128)}
    told = run(case_of(segmenter, prepared, frames, known=known), Strategy.SEQUENCE)
    assert not torch.equal(told[start + 1], plain[start + 1])


@pytest.mark.parametrize("strategy", list(Strategy))
def test_every_slice_is_encoded_once_within_the_budget(strategy, segmenter, prepared, frames):
    case = case_of(segmenter, prepared, frames)
    run(case, strategy)
    assert case.queries.encoded == len(frames)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_a_small_budget_costs_time_and_changes_nothing(strategy, segmenter, prepared, frames):
    roomy = run(case_of(segmenter, prepared, frames), strategy)
    case = case_of(segmenter, prepared, frames, budget=1)
    tight = run(case, strategy)
    assert all(torch.equal(tight[i], logits) for i, logits in roomy.items())
    assert len(case.queries._cache) == 1
    assert case.queries.encoded <= 2 * len(frames)


def test_features_come_in_the_order_asked_for(segmenter, frames):
    encoded = EncodedFrames(segmenter._engine, frames, ROOMY, Stopwatch())
    one, two = encoded.features([1]), encoded.features([2])
    both = encoded.features([2, 1, 2])
    assert torch.equal(both.top, torch.cat([two.top, one.top, two.top]))
    assert encoded.encoded == 2 and len(encoded) == len(frames)
    tight = EncodedFrames(segmenter._engine, frames, 1, Stopwatch())
    assert torch.equal(tight.features([2, 1, 2]).top, both.top)


def test_memories_are_forgotten_and_made_again(segmenter, prepared):
    engine, pool = segmenter._engine, prepared.pool
    encoded = EncodedFrames(engine, pool, ROOMY, Stopwatch())
    ample, tight = (PoolMemories(engine, pool, encoded, limit) for limit in (1024, 3))
    choices = [torch.tensor(c) for c in ([0, 0, 0], [1, 2, 0], [4, 4, 5], [0, 0, 0])]
    for chosen in choices:
        one, two = (memories.recall(chosen) for memories in (ample, tight))
        assert torch.equal(one.tokens, two.tokens) and torch.equal(one.pointer, two.pointer)
        assert len(tight._memories) == 3
    assert len(ample._memories) == 3 + 2 + 3


def test_matches_are_made_once(segmenter, prepared, frames):
    case = case_of(segmenter, prepared, frames)
    match = case.prompter.match(MIDDLE)
    assert match.chosen.shape == match.distance.shape == (3,)
    assert match.distance.isfinite().all()
    queries = case.queries.encoded
    again = case.prompter.match(MIDDLE)
    assert torch.equal(again.chosen, match.chosen) and case.queries.encoded == queries


def test_neighbours_are_seen_as_they_were_segmented_alone(segmenter, prepared, frames):
    """By the plain definition: two passes over all slices, one after the other."""
    found = run(case_of(segmenter, prepared, frames), Strategy.NEIGHBOURS)
    assert list(found) == list(range(len(frames)))
    alone = run(case_of(segmenter, prepared, frames), Strategy.PAIRWISE)
    case, engine = case_of(segmenter, prepared, frames), segmenter._engine
    for t in (0, 1, MIDDLE, len(frames) - 1):
        near = [s for s in (t - 2, t - 1, t + 1, t + 2) if s in alone]
        context = [Remembered(case.prompter.prompt(t).memory, 3, prompted=True)]
        for s in near:
            masks = torch.nn.functional.interpolate(alone[s][None], (128, 128), mode="bilinear")[0]
            memory = engine.remember(case.queries.features([s] * 3), (masks > 0).float())
            context.append(Remembered(memory, abs(t - s), prompted=False))
        prediction = engine.segment(case.queries.features([t]), [0, 0, 0], context, frames=6)
        assert torch.allclose(found[t], prediction.logits, atol=1e-4)


def test_the_agreement_is_the_mean_of_both_passes(segmenter, frames, monkeypatch):
    engine, descriptor = segmenter._engine, make_descriptor(Settings().metric)
    registered = prepare(engine, descriptor, [SUPPORT.support], Settings(), 1, Stopwatch())
    case = case_of(segmenter, registered, frames[3:6])
    case.prompter.prepare(range(3), lambda: None)
    passes, blended = [[], [], []], Case.blended

    def watched(self, index, prompt, prediction, *before):
        passes[index].append(blended(self, index, prompt, prediction).agreement)
        return blended(self, index, prompt, prediction, *before)

    monkeypatch.setattr(Case, "blended", watched)
    for result in propagate(case, Strategy.NEIGHBOURS):
        alone, beside = passes[result.index]
        assert torch.allclose(result.agreement, (alone + beside) / 2)
        assert not torch.allclose(alone, beside)


@pytest.mark.parametrize("trimmed", [False, True])
def test_what_the_network_calls_absent_is_shown_if_ends_are_cleared_later(
    trimmed, segmenter, frames, monkeypatch
):
    engine, descriptor = segmenter._engine, make_descriptor(Settings().metric)
    registered = prepare(engine, descriptor, [SUPPORT.support], Settings(), 1, Stopwatch())
    case = case_of(segmenter, registered, frames[MIDDLE : MIDDLE + 1])
    case.blend, case.trimmed = Blend(100, weight=0.4), trimmed
    segment = Engine.segment

    def blind(self, *asked):
        seen = segment(self, *asked)
        return replace(seen, score=-seen.score.abs(), logits=torch.full_like(seen.logits, ABSENT))

    monkeypatch.setattr(Engine, "segment", blind)
    case.prompter.prepare(range(1), lambda: None)
    (found,) = propagate(case, Strategy.NEIGHBOURS)
    assert bool((found.logits > 0).any()) is trimmed


def test_slices_whose_labels_are_given_are_seen_by_their_neighbours(segmenter, prepared, frames):
    plain = run(case_of(segmenter, prepared, frames), Strategy.NEIGHBOURS)
    known = {4: torch.ones(3, 128, 128)}
    told = run(case_of(segmenter, prepared, frames, known=known), Strategy.NEIGHBOURS)
    assert set(told) == set(plain) - {4}
    changed = [t for t in told if not torch.equal(told[t], plain[t])]
    assert set(changed) <= {2, 3, 5, 6} and {3, 5} & set(changed)


def test_what_registration_puts_elsewhere_is_trusted_less(segmenter, prepared, frames):
    case = case_of(segmenter, prepared, frames)
    prompt = case.prompter.prompt(MIDDLE)
    prediction = case.predict(MIDDLE, prompt, [], 2)
    size = (case.engine.image_size,) * 2
    mask = (F.interpolate(prediction.logits[None], size, mode="bilinear")[0] > 0).float()
    here, elsewhere = (
        case.blended(MIDDLE, replace(prompt, carried=each), prediction)
        for each in (mask, mask.roll(60, -1))
    )
    assert torch.equal(here.logits > 0, elsewhere.logits > 0)
    assert (here.certainty > 0.5).all() and (elsewhere.certainty < 0.5 * here.certainty).all()
