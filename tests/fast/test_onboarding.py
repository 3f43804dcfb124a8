"""What a network that was taught one catalogue can answer of another."""

from collections.abc import Sequence

import pytest

from tfx_retail import catalog, labels, onboarding
from tfx_retail.labels import Label
from tfx_retail.onboarding import Match
from tfx_retail.product import Product
from tfx_retail.trained import Taught, Trained

ORDER = (Label(0, "cola"), Label(1, "lime"), Label(2, "water"), Label(3, "still"), Label(4, "milk"))
KNOWN = Trained(
    image_size=32,
    crop_context=0.0,
    parameters=1,
    embedder_id="x",
    products=(
        Taught(sku="cola", look="cola", family="soda", examples=12),
        Taught(sku="lime", look="lime", family="soda", examples=12),
        Taught(sku="water", look="water", family="waters", examples=12),
        Taught(sku="still", look="water", family="waters", examples=12),
        Taught(sku="milk", look="milk", family="milks", examples=0),  # nobody has photographed it
    ),
)


def product(sku: str, family: str, look: str, height_mm: float | None = None) -> Product:
    return Product(sku=sku, name=sku, category="drinks", family=family, look=look, height_mm=height_mm)


COLA, LIME = product("cola", "soda", "cola", 120.0), product("lime", "soda", "lime", 120.0)
WATER, STILL = product("water", "waters", "water", 200.0), product("still", "waters", "water", 300.0)
MILK = product("milk", "milks", "milk")


def match(*products: Product) -> Match:
    given = catalog.of(products)
    return onboarding.match(KNOWN, labels.extend(ORDER, given), given)


def columns(*products: Product) -> list[int]:
    found = match(*products)
    assert found.faults == []
    return onboarding.columns(found, list(dict.fromkeys(item.look for item in products))).tolist()


def test_the_catalogue_of_the_training_goes_with_its_network() -> None:
    assert columns(COLA, LIME, WATER, STILL, MILK) == [0, 1, 2, 3]


def test_a_new_pack_of_a_trained_look_needs_no_training() -> None:
    assert columns(COLA, LIME, WATER, STILL, product("big", "waters", "water", 400.0), MILK) == [0, 1, 2, 3]


def test_a_new_pack_of_a_product_that_had_no_look_of_its_own_is_found_by_the_product() -> None:
    given = (product("cola", "soda", "red can", 120.0), product("cola-2", "soda", "red can", 180.0), LIME, WATER, STILL)
    assert columns(*given) == [0, 1, 2]


def test_a_new_pack_is_found_where_all_trained_ones_have_left() -> None:
    assert columns(COLA, LIME, product("big", "waters", "water", 400.0)) == [0, 1, 2]


def test_families_and_looks_may_have_other_names() -> None:
    given = (product("cola", "fizz", "a"), product("lime", "fizz", "b"), product("water", "flat", "c", 1), product("still", "flat", "c", 2))
    assert columns(*given) == [0, 1, 2]


def test_what_has_left_keeps_its_place_under_its_own_name() -> None:
    assert onboarding.columns(match(LIME, WATER), ["cola", "lime", "water", "still"]).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ((COLA, LIME, product("juice", "soda", "juice")), ["SKU juice: look 'juice' was not trained; needs training"]),
        (
            (product("cola", "soda", "can", 1), product("lime", "soda", "can", 2)),
            [f"SKU {sku}: look 'can' joins looks that the network tells apart; needs training" for sku in ("cola", "lime")],
        ),
        (
            (COLA, LIME, WATER, product("still", "waters", "still", 300.0)),
            ["SKU still: look 'still' and look 'water' are one look to the network; needs training"],
        ),
        (
            (COLA, product("lime", "waters", "lime", 1.0), WATER, STILL),
            ["SKU lime: family 'waters': the network learned it in 'soda' beside others; needs training"],
        ),
        ((MILK,), ["no product is left that the network was taught; needs training"]),
        (
            (COLA, WATER, STILL, product("big", "waters", "water")),
            ["SKU big, column height_mm: is empty, and only its size tells it from the others of its look"],
        ),
    ],
)
def test_what_the_network_was_not_taught_is_named_row_by_row(given: Sequence[Product], faults: list[str]) -> None:
    assert match(*given).faults == faults
