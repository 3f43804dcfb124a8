"""Which crop the demonstration of sizes shows."""

import math

from tfx_retail import catalog
from tfx_retail.product import Product
from tools.size_pair import Pack, twin

PRODUCTS = catalog.of(
    tuple(
        Product(sku=sku, name=sku, category="x", family="f", look=look) for sku, look in (("a", "a"), ("small", "pack"), ("large", "pack"))
    )
)


def test_it_is_measured_and_has_a_twin() -> None:
    alone, bare, good = Pack("a", b"1", 10.0, 5.0), Pack("small", b"2", 10.0, math.nan), Pack("large", b"3", 20.0, 10.0)
    assert twin(iter((alone, bare, Pack("gone", b"4", 1.0, 1.0), good)), PRODUCTS) == good
    assert twin(iter((alone, bare)), PRODUCTS) is None
