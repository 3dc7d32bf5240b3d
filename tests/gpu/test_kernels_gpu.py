"""The Triton kernels against float64."""

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from worker.engine.attention.base import TILE, Heads  # noqa: E402
from worker.engine.kernels.decode import decode_attention  # noqa: E402
from worker.engine.kernels.prefill import prefill_attention  # noqa: E402
from worker.engine.kernels.store import store_kv  # noqa: E402
from worker.engine.layers.fused_gelu import GeluLinear  # noqa: E402
from worker.engine.memory.kv_cache import LayerCache  # noqa: E402

pytestmark = pytest.mark.gpu

HEADS = pytest.mark.parametrize(
    ("num_heads", "num_kv_heads", "head_dim"), [(32, 32, 64), (9, 3, 64), (8, 2, 128), (4, 4, 80)]
)
HALF = [(torch.bfloat16, 6e-3), (torch.float16, 1e-3)]


@HEADS
@pytest.mark.parametrize(("dtype", "tolerance"), [*HALF, (torch.float32, 1e-5)])
def test_decode_kernel_matches_float64(
    num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, tolerance: float
) -> None:
    page_size, max_pages = 16, 20
    lengths = [1, 15, 16, 17, 64, 65, 128, 300, 320]
    pages = torch.randperm(len(lengths) * max_pages, device="cuda") + 1
    tables = pages.view(len(lengths), max_pages).int()
    size = (2, len(pages) + 1, num_kv_heads, page_size, head_dim)
    # Poisoned: a read of what nobody wrote would show.
    cache = torch.full(size, float("nan"), device="cuda", dtype=dtype)
    layer = LayerCache(keys=cache[0], values=cache[1])
    keys, values = [], []
    for table, length in zip(tables, lengths, strict=True):
        # As a model hands them over: heads first in memory.
        key = torch.randn(num_kv_heads, length, head_dim, device="cuda").to(dtype).transpose(0, 1)
        value = torch.randn(length, num_kv_heads, head_dim, device="cuda").to(dtype)
        positions = torch.arange(length, device="cuda")
        store_kv(key, value, layer, table.long()[positions // page_size] * page_size + positions % page_size)
        keys.append(key)
        values.append(value)
    query = torch.randn(len(lengths), num_heads, head_dim, device="cuda").to(dtype)
    output = decode_attention(query, layer, tables, torch.tensor(lengths, device="cuda", dtype=torch.int32), 0.11)
    for i, (key, value) in enumerate(zip(keys, values, strict=True)):
        group = num_heads // num_kv_heads
        key, value = (x.double().repeat_interleave(group, 1) for x in (key, value))
        scores = torch.einsum("hd,nhd->hn", query[i].double(), key) * 0.11
        expected = torch.einsum("hn,nhd->hd", scores.softmax(-1), value)
        error = (output[i].double() - expected).norm() / expected.norm()
        assert error < tolerance, f"length {lengths[i]}: {error:.2e}"


@HEADS
@pytest.mark.parametrize(("dtype", "tolerance"), HALF)
def test_prefill_kernel_matches_float64(
    num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype, tolerance: float
) -> None:
    lengths = [1, 63, 64, 65, 128, 300, 7]
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    tiles = [(start, first, n) for start, n in zip(starts, lengths, strict=True) for first in range(0, n, TILE)]
    # Heads first in memory and tokens first: both orders occur.
    query = torch.randn(num_heads, sum(lengths), head_dim, device="cuda").to(dtype).transpose(0, 1)
    key = torch.randn(sum(lengths), num_kv_heads, head_dim, device="cuda").to(dtype)
    value = torch.randn(num_kv_heads, sum(lengths), head_dim, device="cuda").to(dtype).transpose(0, 1)
    # Empty tiles fill up.
    rows = torch.tensor([*tiles, (0, 0, 0), (0, 0, 0)], device="cuda")
    output = prefill_attention(Heads(query, key, value), rows, 0.11)
    group = num_heads // num_kv_heads
    for start, length in zip(starts, lengths, strict=True):
        prompt = slice(start, start + length)
        keys, values = (x[prompt].double().repeat_interleave(group, 1) for x in (key, value))
        scores = torch.einsum("mhd,nhd->hmn", query[prompt].double(), keys) * 0.11
        scores += torch.full((length, length), float("-inf"), device="cuda").triu(1)
        expected = torch.einsum("hmn,nhd->mhd", scores.softmax(-1), values)
        error = (output[prompt].double() - expected).norm() / expected.norm()
        assert error < tolerance, f"length {length}: {error:.2e}"


@pytest.mark.parametrize(("dtype", "tolerance"), HALF)
@pytest.mark.parametrize("num_tokens", [1, 8, 300])
def test_gelu_inside_the_product_matches_float64(num_tokens: int, dtype: torch.dtype, tolerance: float) -> None:
    linear = torch.nn.Linear(256, 512, device="cuda", dtype=dtype)
    hidden = torch.randn(1, num_tokens, 256, device="cuda", dtype=dtype)
    with torch.inference_mode():
        output = GeluLinear(linear, torch.nn.Identity())(hidden)
    product = torch.nn.functional.linear(hidden.double(), linear.weight.double(), linear.bias.double())
    expected = torch.nn.functional.gelu(product, approximate="tanh")
    assert (output.double() - expected).norm() / expected.norm() < tolerance
