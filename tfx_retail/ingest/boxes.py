"""Boxes as annotators draw them, made fit for cropping: rounded outward, turned with the photo, cut to it, refused."""

import math

from tfx_retail.ingest.record import Box, Fault

EDGE_PX = 1  # so far a box may lie outside: what rounding and 1-based tools leave


def outward(left: float, top: float, right: float, bottom: float) -> Box:
    """Returns the smallest box of whole pixels around fractional edges.

    A thousandth of a pixel is taken for noise of the annotation tool's arithmetic, or 10.0000001 would be 11.
    """
    low = (math.floor(round(edge, 3)) for edge in (left, top))
    high = (math.ceil(round(edge, 3)) for edge in (right, bottom))
    return Box(*low, *high)


def turn(box: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Returns a box of the photo as stored in the frame of the upright photo, for the orientations that swap its sides.

    Args:
      orientation: EXIF's, 5 to 8.
      size: (width, height) of the photo as stored.

    Source: Exif 2.32, tag 0x0112 Orientation.
    """
    width, height = size
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    if orientation == 5:  # mirrored along the diagonal
        return Box(top, left, bottom, right)
    if orientation == 6:  # a quarter turn clockwise makes it upright
        return Box(height - bottom, left, height - top, right)
    if orientation == 7:  # mirrored along the other diagonal
        return Box(height - bottom, width - right, height - top, width - left)
    return Box(top, width - right, bottom, width - left)  # 8: a quarter turn counter-clockwise


def fit(box: Box, size: tuple[int, int], min_px: int) -> tuple[Box, bool]:
    """Returns the box cut to the photo, and whether anything was cut off.

    Raises:
      Fault: the box is inverted, empty, outside by more than a pixel, or too small.
    """
    width, height = size
    edges = f"{box.left}, {box.top}, {box.right}, {box.bottom} (left, top, right, bottom)"
    if box.width < 0 or box.height < 0:
        raise Fault(f"the box {edges} is inverted")
    if box.width == 0 or box.height == 0:
        raise Fault(f"the box {edges} is empty")
    outside = max(-box.left, -box.top, box.right - width, box.bottom - height)
    if outside > EDGE_PX:
        raise Fault(f"the box {edges} leaves the {width}x{height} photo by {outside} px; at most {EDGE_PX} is cut off")
    cut = Box(max(box.left, 0), max(box.top, 0), min(box.right, width), min(box.bottom, height))
    if min(cut.width, cut.height) < min_px:
        raise Fault(f"the box {edges} is {cut.width}x{cut.height} px; its shorter side is under data.min_box_px ({min_px})")
    return cut, outside > 0


def with_context(box: Box, share: float, size: tuple[int, int]) -> Box:
    """Returns the box with a margin of `share` of its width and height on each side, cut at the photo's edge."""
    across, down = round(box.width * share), round(box.height * share)
    width, height = size
    return Box(max(box.left - across, 0), max(box.top - down, 0), min(box.right + across, width), min(box.bottom + down, height))
