"""The shipped checkpoint, made quick: the paper's search on small frames."""

from functools import cache

from oneslice import Segmenter, Settings


@cache
def with_settings(**options):
    return Segmenter("mini", "cpu", Settings(**{"search": "pool"} | options), image_size=128)
