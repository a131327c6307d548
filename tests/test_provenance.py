import numpy as np

from oneslice.provenance import array_hash

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_equal_arrays_have_one_hash_however_they_are_laid_out():
    wide = np.zeros((2, 3, 8), np.int16)
    wide[..., ::2] = ARRAY
    alike = ARRAY.copy(), np.asfortranarray(ARRAY), wide[..., ::2]
    assert len({array_hash([each]) for each in (ARRAY, *alike)}) == 1


def test_values_shapes_kinds_order_and_words_count():
    other = ARRAY + (ARRAY == 23)
    different = [ARRAY], [other], [ARRAY.reshape(2, 4, 3)], [ARRAY.astype(np.uint16)]
    hashes = [array_hash(each) for each in (*different, [ARRAY, other], [other, ARRAY])]
    assert len({*hashes, array_hash([ARRAY], "named")}) == 7
