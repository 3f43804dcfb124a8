"""What is learned from measured sizes: the numbers that made them, and nothing much from little."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tfx_retail.size_model import SizeModel, fit

NAN = float("nan")
TRUE = SizeModel(
    height_bias=0.02,
    width_bias=0.04,
    scale_deviation=0.03,
    height_jitter=0.012,
    width_jitter=0.02,
    turned_share=0.03,
    outlier_share=0.04,
)
FITTED = ("height_bias", "width_bias", "scale_deviation", "height_jitter", "width_jitter", "turned_share", "outlier_share")

Sizes = NDArray[np.float64]


def shelf(photos: int, crops: int = 1, *, true: SizeModel = TRUE, seed: int = 1) -> tuple[list[Sizes], list[str]]:
    """Returns measured height and width, the catalogue's, [N] each in mm, and the photo of each crop; outliers within a factor of four."""
    rng = np.random.default_rng(seed)
    photo, count = np.repeat(np.arange(photos), crops), photos * crops
    height = np.exp(rng.normal(5.0, 0.3, count))
    width = height * np.exp(rng.normal(-0.8, 0.2, count))
    scale = rng.normal(0.0, true.scale_deviation, photos)[photo]
    turned, outlier = rng.random(count) < true.turned_share, rng.random(count) < true.outlier_share
    far = rng.uniform(-math.log(4), math.log(4), (2, count))
    errors = (
        true.height_bias + scale + rng.normal(0.0, true.height_jitter, count),
        true.width_bias + scale + rng.normal(0.0, true.width_jitter, count),
    )
    sides = np.where(turned, width, height), np.where(turned, height, width)
    measured = [side * np.exp(np.where(outlier, wide, error)) for side, error, wide in zip(sides, errors, far, strict=True)]
    return [*measured, height, width], [f"photo {number}" for number in photo]


def numbers(model: SizeModel) -> list[float]:
    return [getattr(model, name) for name in FITTED]


@pytest.mark.parametrize(
    "sizes",
    [
        ([], [], [], []),
        ([NAN] * 3, [NAN] * 3, [200.0] * 3, [100.0] * 3),
        ([200.0] * 3, [100.0] * 3, [NAN] * 3, [NAN] * 3),
        ([0.0, -1.0, math.inf], [-0.0, -math.inf, NAN], [200.0] * 3, [100.0] * 3),
        ([200.0] * 3, [100.0] * 3, [0.0, -200.0, math.inf], [NAN] * 3),
        ([200.0] * 3, [NAN] * 3, [NAN] * 3, [100.0] * 3),  # a height against a width: that the pack lies is more than anyone knows
    ],
    ids=["no crops", "not measured", "not in the catalogue", "absurd measured", "absurd in the catalogue", "different sides"],
)
def test_without_a_comparison_the_defaults_stand(sizes: tuple[list[float], ...]) -> None:
    assert fit(*sizes) == SizeModel()
    own = SizeModel(scale_deviation=0.2)
    assert fit(*sizes, prior=own) == own


def test_the_numbers_behind_two_thousand_photos_are_found() -> None:
    sizes, photo = shelf(2000)
    found = fit(*sizes, photo=photo)
    # about four standard errors: of a mean 0.033 / sqrt(2000) = 0.0007, of a deviation 0.03 / sqrt(4000) = 0.0005 and more for the jitters,
    # which are differences of variances; of shares sqrt(0.04 / 2000) = 0.0045
    allowed = [0.003, 0.003, 0.003, 0.004, 0.004, 0.016, 0.018]
    for value, true, most in zip(numbers(found), numbers(TRUE), allowed, strict=True):
        assert value == pytest.approx(true, abs=most)
    assert (found.photos, found.crops) == (2000, 2000)


def test_two_hundred_photos_of_ten_crops_do_it_too_where_sides_are_missing_here_and_there() -> None:
    (height, width, *catalog), photo = shelf(200, 10)
    rng = np.random.default_rng(2)
    height[rng.random(2000) < 0.3] = NAN
    width[rng.random(2000) < 0.3] = NAN
    found = fit(height, width, *catalog, photo=photo)
    # a tenth of a variance may come from ten photos of the defaults: sqrt(0.9 * 0.03^2 + 0.1 * 0.05^2) = 0.0325
    for value, true, most in zip(numbers(found), numbers(TRUE), [0.012, 0.012, 0.008, 0.008, 0.008, 0.02, 0.02], strict=True):
        assert value == pytest.approx(true, abs=most)


@pytest.mark.long
def test_one_side_alone_gives_its_whole_deviation_and_leaves_the_other_sides_bias() -> None:
    (height, width, *catalog), photo = shelf(2000)
    found = fit(height, np.full_like(width, NAN), *catalog, photo=photo)
    assert found.height_bias == pytest.approx(0.02, abs=0.003)
    assert math.sqrt(found.height_variance) == pytest.approx(math.hypot(0.03, 0.012), abs=0.003)
    assert (found.width_bias, found.width_jitter) == (0.0, 0.03)
    only_known = fit(height, width, catalog[0], np.full_like(width, NAN), photo=photo)  # then one that lies is an outlier
    assert only_known.outlier_share == pytest.approx(0.07, abs=0.02)
    assert only_known.turned_share == 0.01


def test_a_bias_of_thirty_percent_is_found_though_the_defaults_take_every_crop_for_an_outlier() -> None:
    sizes, photo = shelf(200, true=msgspec.structs.replace(TRUE, height_bias=0.3, width_bias=0.3))
    found = fit(*sizes, photo=photo)
    assert (found.height_bias, found.width_bias) == pytest.approx((0.3, 0.3), abs=0.015)
    assert found.scale_deviation < 0.04


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_share_of_outliers_moves_nothing_else(share: float) -> None:
    sizes, photo = shelf(2000, true=msgspec.structs.replace(TRUE, outlier_share=share))
    found = fit(*sizes, photo=photo)
    assert found.outlier_share == pytest.approx(share, abs=0.04)
    assert numbers(found)[:5] == pytest.approx(numbers(TRUE)[:5], abs=0.005)


@pytest.mark.parametrize("crops", [1, 500])
def test_one_photo_says_little_however_many_crops_it_has(crops: int) -> None:
    height, width = np.full(crops, 216.0), np.full(crops, 108.0)  # 8 % too large
    found = fit(height, width, np.full(crops, 200.0), np.full(crops, 100.0), photo=["a"] * crops)
    assert 0.01 < found.height_bias < 0.03
    assert 0.045 < found.scale_deviation < 0.055
    assert (found.photos, found.crops) == (1, crops)


def test_crops_of_no_named_photo_are_photos_of_their_own() -> None:
    sizes, _ = shelf(50)
    assert fit(*sizes) == fit(*sizes, photo=[""] * 50) == fit(*sizes, photo=[str(number) for number in range(50)])


def test_sizes_copied_from_the_catalogue_do_not_make_every_other_measurement_an_outlier() -> None:
    height, width = shelf(4000)[0][2:]
    found = fit(height, width, height, width)
    assert [found.scale_deviation, found.height_jitter, found.width_jitter] == [0.005] * 3
    assert found.outlier_share > 0


def test_sizes_that_mean_nothing_are_outliers_and_leave_the_defaults() -> None:
    measured = np.random.default_rng(1).uniform(1.0, 1e4, (2, 2000))
    found = fit(*measured, *shelf(2000)[0][2:])
    assert found.outlier_share > 0.95
    assert numbers(found)[:5] == pytest.approx(numbers(SizeModel())[:5], abs=1e-3)


def test_millimetres_or_inches_and_the_order_of_crops_do_not_matter() -> None:
    sizes, photo = shelf(40, 5)
    found = numbers(fit(*sizes, photo=photo))
    assert numbers(fit(*[side / 25.4 for side in sizes], photo=photo)) == pytest.approx(found, abs=1e-5)
    order = np.random.default_rng(1).permutation(200)
    assert numbers(fit(*[side[order] for side in sizes], photo=[photo[row] for row in order])) == pytest.approx(found, abs=1e-5)


def test_height_and_width_are_treated_alike() -> None:
    (height, width, catalog_height, catalog_width), photo = shelf(100)
    found = fit(height, width, catalog_height, catalog_width, photo=photo)
    other = fit(width, height, catalog_width, catalog_height, photo=photo)
    assert numbers(other) == pytest.approx([numbers(found)[place] for place in (1, 0, 2, 4, 3, 5, 6)], abs=1e-5)


ANY_SIZE = st.one_of(st.floats(), st.floats(1.0, 1000.0))


@settings(max_examples=25)
@given(st.lists(st.tuples(ANY_SIZE, ANY_SIZE, ANY_SIZE, ANY_SIZE, st.sampled_from(["", "a", "b"])), max_size=12))
@pytest.mark.long
def test_whatever_is_measured_the_numbers_are_within_their_ranges(rows: list[tuple[Any, ...]]) -> None:
    *sizes, photo = zip(*rows, strict=True) if rows else ((),) * 5
    found = fit(*sizes, photo=photo)
    assert msgspec.convert(msgspec.to_builtins(found), SizeModel) == found
    assert all(math.isfinite(number) for number in numbers(found))


def test_the_limits_are_those_of_chi_squared() -> None:
    assert SizeModel(refused_share=0.001).distance_limits == pytest.approx((10.8276, 13.8155), abs=1e-4)


def test_the_model_goes_through_json_and_refuses_what_it_cannot_be() -> None:
    assert msgspec.json.decode(msgspec.json.encode(TRUE), type=SizeModel) == TRUE
    assert msgspec.convert({}, SizeModel) == SizeModel()
    for wrong in ({"scale_deviation": 0.0}, {"outlier_share": 1.0}, {"jitter": 0.1}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, SizeModel)


def test_more_crops_of_the_same_photos_teach_nothing() -> None:
    sizes, photo = shelf(100)
    many = fit(*[np.tile(side, 20) for side in sizes], photo=photo * 20)
    assert numbers(many) == pytest.approx(numbers(fit(*sizes, photo=photo)), abs=1e-5)
    assert (many.photos, many.crops) == (100, 2000)
