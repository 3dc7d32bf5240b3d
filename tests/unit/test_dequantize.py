"""When NF4 weights are dequantized: by the memory that is left."""

from worker.loading.dequantize import fits

GIB = 2**30


def test_weights_may_grow_into_half_of_what_is_free() -> None:
    assert fits(2 * GIB, 14 * GIB), "a small model on a 16 GB card"
    assert not fits(11 * GIB, 18 * GIB), "8 billion weights on a 24 GB card: too little is left for the cache"
    assert fits(11 * GIB, 75 * GIB), "the same on an 80 GB card"
    assert not fits(1, 0)
