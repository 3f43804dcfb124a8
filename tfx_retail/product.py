"""One product of the catalogue, its columns and their units."""

from msgspec import Struct

RESERVED_LABELS = ("gap", "unknown", "other_brand", "ignore")  # what annotators write on a box that shows no product of the catalogue

REQUIRED = ("sku", "name", "category", "family")
SIDES = ("width_mm", "height_mm", "depth_mm")
OPTIONAL = (
    "brand",
    "look",
    *SIDES,
    "net_content",
    "unit",
    "units_per_pack",
    "gtin",
    "own",
    "status",
    "valid_from",
    "valid_to",
    "reference_images",
)


class Product(Struct, frozen=True, kw_only=True):
    """One row of the catalogue. Texts are NFC, without spaces around them; what is not known is empty or None."""

    sku: str
    name: str
    category: str
    family: str  # variants that are easily confused: flavours, sizes
    look: str  # SKUs that the eye cannot tell apart share it; the SKU itself where the file names none
    brand: str = ""
    width_mm: float | None = None
    height_mm: float | None = None
    depth_mm: float | None = None
    net_content: float | None = None  # in `unit`
    unit: str = ""
    units_per_pack: int | None = None
    gtin: tuple[str, ...] = ()  # digits with their leading zeros
    own: bool | None = None  # of our own assortment
    status: str = ""
    valid_from: str = ""  # ISO 8601 dates
    valid_to: str = ""
    reference_images: tuple[str, ...] = ()
    extras: dict[str, str] = {}  # the file's other columns, as they are

    def values(self, column: str) -> tuple[str, ...]:
        """Returns the texts of a column that labels may name, several for `gtin`, none where the cell is empty.

        Raises:
          KeyError: there is no such column.
        """
        if column not in (*REQUIRED, *OPTIONAL):
            return (self.extras[column],) if self.extras[column] else ()
        value = getattr(self, column)
        if isinstance(value, tuple):
            return value
        return () if value in ("", None) else (cell_text(value),)


def cell_text(value: object) -> str:
    """Returns a value as the catalogue file writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "|".join(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)
