"""The confusion matrix as a drawing with counts, or as a picture where there are too many SKUs for that."""

import io
from base64 import b64encode

import numpy as np
from markupsafe import Markup
from PIL import Image

from tfx_retail.page.confusion import Matrix

_NUMBERED = 26  # SKUs up to which the matrix shows its counts and names
_PIXELS = 1000  # side of the picture of a larger one


def matrix(found: Matrix) -> Markup:
    """Returns a matrix with its counts, or for many SKUs a painted one; nothing where there is nothing to show."""
    if not found.skus:
        return Markup("")
    return _numbered(found) if len(found.skus) <= _NUMBERED else _painted(found)


def _numbered(found: Matrix) -> Markup:
    """A small matrix with its counts, shaded by their share of the row."""
    step, left, top, size = 30, 232, 12, len(found.skus)
    drawn = []
    for row, sku in enumerate(found.skus):
        total = int(found.counts[row].sum()) or 1
        drawn.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(left - 10, top + row * step + 19, f"{_short(sku)}  {row + 1}")
        )
        number = Markup('<text class="soft" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            left + row * step + 15, top + size * step + 18, row + 1
        )
        drawn.append(number)
        answered = np.flatnonzero(found.counts[row]).tolist()
        drawn.extend(_square(found, row, column, total, left + column * step, top + row * step, step) for column in answered)
    drawn.append(_borders(found, left, top, step))
    label = f"Confusion matrix of {size} SKUs: rows are true, columns answered, in the same order"
    return Markup('<svg class="matrix" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        left + size * step + 8, top + size * step + 28, label, Markup("").join(drawn)
    )


def _square(found: Matrix, row: int, column: int, total: int, x: int, y: int, step: int) -> Markup:
    count = int(found.counts[row, column])
    part, kind = count / total, "right" if row == column else "wrong"
    title = f"{found.skus[row]} answered as {found.skus[column]}: {count:,} of {total:,}"
    cell = Markup(
        '<rect class="cell {}" x="{}" y="{}" width="{}" height="{}" rx="3" fill-opacity="{:.2f}"><title>{}</title></rect>'
    ).format(kind, x + 1, y + 1, step - 2, step - 2, 0.14 + 0.86 * part, title)
    return cell + Markup('<text class="count {}" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        "strong" if part > 0.45 else "", x + step / 2, y + 19, count
    )


def _borders(found: Matrix, left: int, top: int, step: int) -> Markup:
    """Lines between families."""
    size = len(found.skus) * step
    drawn = [Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(left, top, size, size)]
    for place in range(1, len(found.families)):
        if found.families[place] != found.families[place - 1]:
            at = place * step
            drawn.append(Markup('<line class="family" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, left + size, top + at, top + at))
            drawn.append(Markup('<line class="family" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left + at, left + at, top, top + size))
    return Markup("").join(drawn)


def _short(sku: str) -> str:
    return sku if len(sku) <= 32 else sku[:15] + "…" + sku[-15:]


def _painted(found: Matrix) -> Markup:
    """A picture for thousands of SKUs: blue is right, orange wrong, as strong as the share; a pixel shows the worst of what it covers."""
    size = len(found.skus)
    part = found.counts / np.maximum(found.counts.sum(axis=1, keepdims=True), 1)
    factor = -(-size // _PIXELS)
    side = -(-size // factor)
    blocks = np.zeros((2, side * factor, side * factor), np.float32)
    right = np.eye(size, dtype=bool)
    blocks[0, :size, :size], blocks[1, :size, :size] = np.where(right, part, 0), np.where(right, 0, part)
    shown = blocks.reshape(2, side, factor, side, factor).max(axis=(2, 4))
    levels = np.where(shown[1] > 0, 8 + np.ceil(shown[1] * 7), np.ceil(shown[0] * 7)).astype(np.uint8)
    image = Image.fromarray(levels, "P").resize((side * (enlarged := max(1, 720 // side)), side * enlarged), Image.Resampling.NEAREST)
    image.putpalette([*[0, 114, 178] * 8, *[224, 102, 20] * 8])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=bytes([0, *range(60, 256, 30)][:8] + [110 + 20 * level for level in range(8)]))
    label = f"Confusion matrix of {size:,} SKUs ordered by category, family and SKU; rows are true, columns answered"
    uri = "data:image/png;base64," + b64encode(file.getvalue()).decode("ascii")
    return Markup('<img class="matrix-image" alt="{}" src="{}">').format(label, uri)
