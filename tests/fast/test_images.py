import io
import struct
import warnings
import zlib

import msgspec
import numpy as np
import pytest
from PIL import Image

from tfx_retail.config import DataConfig
from tfx_retail.ingest import boxes, decode, fingerprints
from tfx_retail.ingest.images import hash_distance, photo_hash, records
from tfx_retail.ingest.record import Annotation, Box, Photo, Record, Rejection

SETTINGS = DataConfig(path="data", format="voc")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


def halves(width: int, height: int) -> Image.Image:
    """Left half red, right half blue: survives JPEG well enough to see which way up it is."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(image: bytes, *annotations: Annotation, **facts: object) -> Photo:
    whole = Photo(photo_id="a.jpg", image=image, annotations=annotations or (Annotation("cola"),), source_file="a.xml")
    return msgspec.structs.replace(whole, **facts)


def only_record(found: Photo, settings: DataConfig = SETTINGS) -> Record:
    (record,) = records(found, settings)
    assert isinstance(record, Record), record
    return record


def only_reason(found: Photo, settings: DataConfig = SETTINGS) -> str:
    (rejection,) = records(found, settings)
    assert isinstance(rejection, Rejection)
    return rejection.reason


def pixels(record: Record) -> Image.Image:
    image = Image.open(io.BytesIO(record.image))
    image.load()
    assert image.mode == "RGB"
    return image


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


ANIMATED = {"save_all": True, "append_images": [Image.new("RGB", (32, 32), "blue")]}
BAD = {
    "zero bytes": (b"", "is empty: 0 bytes"),
    "text": (b"this is no picture", "is not an image that is read here: it begins with b'this is no p'"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "expected JPEG, PNG, WebP, GIF, BMP or TIFF"),
    "truncated jpeg": (encoded(noise(64, 64))[:1500], "cut off or damaged (JPEG: image file is truncated"),
    "truncated in its header": (encoded(noise(64, 64))[:40], "cut off or damaged (JPEG"),
    "truncated png": (encoded(noise(64, 64), "PNG")[:5000], "cut off or damaged (PNG"),
    "animated gif": (encoded(Image.new("RGB", (32, 32)), "GIF", **ANIMATED), "holds 2 pictures"),
    "animated webp": (encoded(Image.new("RGB", (32, 32)), "WEBP", **ANIMATED), "holds 2 pictures"),
    "animated png": (encoded(Image.new("RGB", (32, 32)), "PNG", **ANIMATED), "holds 2 pictures"),
    "pages of a tiff": (encoded(Image.new("RGB", (32, 32)), "TIFF", **ANIMATED), "holds 2 pictures"),
    "one pixel": (encoded(noise(1, 1), "PNG"), "is 1x1 px; its shorter side is under data.min_box_px (8)"),
    "a line": (encoded(noise(100, 1)), "is 100x1 px; its shorter side is under data.min_box_px (8)"),
    "32 bits a pixel": (encoded(Image.new("F", (32, 32), 0.5), "TIFF"), "has 32 bits a pixel (mode F)"),
    "decompression bomb": (png_header(60_000, 60_000), "its header says more pixels than data.max_image_px (50000000); not decoded"),
    "bomb that Pillow only warns of": (png_header(10_000, 10_000), "its header says 10000x10000 px"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_one_rejection_that_says_why(name: str) -> None:
    data, reason = BAD[name]
    (rejection,) = records(photo(data, Annotation("cola"), Annotation("soda", Box(0, 0, 9, 9))), SETTINGS)
    assert isinstance(rejection, Rejection)
    assert reason in rejection.reason
    assert (rejection.path, rejection.kind) == ("a.jpg", "photo")


def test_the_limit_of_pixels_is_the_configurations() -> None:
    settings = msgspec.structs.replace(SETTINGS, max_image_px=99 * 100)
    assert "more than data.max_image_px (9900)" in only_reason(photo(encoded(noise(100, 100))), settings)


def test_cmyk_becomes_rgb() -> None:
    record = only_record(photo(encoded(Image.new("RGB", (32, 32), (250, 10, 10)).convert("CMYK"))))
    red, green, blue = pixels(record).getpixel((16, 16))  # type: ignore[misc]
    assert red > 230 and green < 30 and blue < 30


def test_of_16_bits_the_upper_8_are_kept() -> None:
    data = encoded(Image.fromarray(np.full((16, 16), 0xABCD, np.uint16)), "PNG")
    assert pixels(only_record(photo(data))).getpixel((8, 8)) == (0xAB, 0xAB, 0xAB)


def test_a_palette_becomes_rgb() -> None:
    data = encoded(Image.new("RGB", (16, 16), (0, 128, 255)).quantize(4), "PNG")
    assert pixels(only_record(photo(data))).getpixel((8, 8)) == (0, 128, 255)


def test_a_still_gif_is_read() -> None:
    assert pixels(only_record(photo(encoded(Image.new("RGB", (100, 100), "white"), "GIF")))).size == (100, 100)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    if mode == "PA":
        image = image.convert("P")
        data = encoded(image, "PNG", transparency=0)
    else:
        data = encoded(image.convert(mode), "PNG")
    assert pixels(only_record(photo(data))).getpixel((8, 8)) == (255, 255, 255)


def test_gray_becomes_rgb() -> None:
    record = only_record(photo(encoded(Image.new("L", (80, 80), 100))))
    assert pixels(record).getpixel((40, 40)) == (100, 100, 100)


def with_orientation(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, exif=exif)


def test_a_rotated_photo_becomes_upright_and_forgets_its_exif() -> None:
    record = only_record(photo(with_orientation(halves(80, 40), 6)))  # a quarter turn clockwise: red goes to the top
    image = pixels(record)
    assert image.size == (40, 80) == record.photo_size
    red, _, blue = image.getpixel((20, 10))  # type: ignore[misc]
    assert red > 230 and blue < 30
    assert image.getexif().get(0x0112) is None


@pytest.mark.parametrize("declared", [(40, 80), None])
def test_boxes_of_a_rotated_photo_are_in_the_upright_frame(declared: tuple[int, int] | None) -> None:
    box = Box(0, 0, 40, 20)
    record = only_record(photo(with_orientation(halves(80, 40), 6), Annotation("cola", box), declared_size=declared))
    assert record.box == box


def test_boxes_in_the_frame_of_the_stored_photo_are_turned_with_it() -> None:
    found = photo(with_orientation(halves(80, 40), 6), Annotation("cola", Box(0, 0, 20, 30)), declared_size=(80, 40))
    assert only_record(found).box == Box(10, 0, 40, 20)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_turned_box_holds_the_same_pixels(orientation: int) -> None:
    stored = noise(13, 7)
    box = Box(2, 1, 6, 3)
    turned = boxes.turn(box, orientation, stored.size)
    upright = stored.transpose(decode.TRANSPOSES[orientation])
    crop = stored.crop((box.left, box.top, box.right, box.bottom)).transpose(decode.TRANSPOSES[orientation])
    assert upright.crop((turned.left, turned.top, turned.right, turned.bottom)).tobytes() == crop.tobytes()


def test_a_declared_size_that_is_not_the_images_is_refused() -> None:
    reason = only_reason(photo(encoded(noise(80, 40)), declared_size=(640, 480)))
    assert reason == "is 80x40 px upright, but its annotation says 640x480: the boxes are another image's"


def test_damaged_exif_is_no_warning_and_no_fault() -> None:
    data = encoded(noise(32, 32))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\x00\x05\x01\x12"  # says five entries, holds a piece of one
    damaged = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert only_record(photo(damaged)).photo_size == (32, 32)


def test_bytes_of_an_upright_rgb_jpeg_are_kept_as_they_are() -> None:
    data = encoded(noise(128, 128))
    assert only_record(photo(data)).image is data


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_whole_picture_whose_file_lacks_its_end_is_written_anew(kind: str) -> None:
    data = encoded(noise(32, 32), kind)
    filled_up = {"JPEG": data[:-2] + b"\0" * 512, "PNG": data[:-12]}[kind]  # as half-saved files are
    image = only_record(photo(filled_up)).image
    assert image.endswith({"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}[kind])


def test_the_preview_behind_a_phones_photo_is_no_animation() -> None:
    data = encoded(noise(64, 64), "MPO", save_all=True, append_images=[noise(16, 16)])
    assert only_record(photo(data)).photo_size == (64, 64)


def test_small_pngs_stay_exact_and_large_ones_become_jpeg() -> None:
    small, large = noise(28, 28), noise(65, 65)
    record = only_record(photo(encoded(small.convert("L"), "PNG")))
    assert record.image.startswith(b"\x89PNG")
    assert pixels(record).tobytes() == small.convert("L").convert("RGB").tobytes()
    assert only_record(photo(encoded(large, "PNG"))).image.startswith(b"\xff\xd8")


def test_a_crop_is_a_jpeg_of_full_colour() -> None:
    record = only_record(photo(encoded(halves(80, 40), "PNG"), Annotation("cola", Box(40, 0, 80, 40))))
    image = Image.open(io.BytesIO(record.image))
    assert image.format == "JPEG" and image.size == (40, 40)
    assert image.layer[0][1:3] == (1, 1)  # type: ignore[attr-defined]  # luma is sampled as often as colour: 4:4:4
    red, _, blue = pixels(record).getpixel((2, 2))  # type: ignore[misc]
    assert red < 10 and blue > 245


def test_context_is_a_share_of_the_box_cut_at_the_photos_edge() -> None:
    settings = msgspec.structs.replace(SETTINGS, crop_context=0.1)
    record = only_record(photo(encoded(noise(200, 100)), Annotation("cola", Box(2, 20, 42, 70))), settings)
    assert pixels(record).size == (46 - 0, 75 - 15)
    assert record.box == Box(2, 20, 42, 70)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box(30, 5, 10, 25), "the box 30, 5, 10, 25 (left, top, right, bottom) is inverted"),
        (Box(30, 5, 30, 25), "is empty"),
        (Box(-2, 0, 30, 25), "leaves the 80x40 photo by 2 px; at most 1 is cut off"),
        (Box(0, 0, 82, 25), "leaves the 80x40 photo by 2 px"),
        (Box(100, 100, 120, 120), "leaves the 80x40 photo by 80 px"),
        (Box(0, 0, 60, 7), "is 60x7 px; its shorter side is under data.min_box_px (8)"),
    ],
)
def test_a_bad_box_is_refused_and_the_others_are_kept(box: Box, reason: str) -> None:
    found = photo(encoded(noise(80, 40)), Annotation("cola", box, part="object 1"), Annotation("soda", Box(0, 0, 20, 20), part="object 2"))
    rejection, record = records(found, SETTINGS)
    assert isinstance(rejection, Rejection) and isinstance(record, Record)
    assert reason in rejection.reason
    assert (rejection.path, rejection.kind) == ("a.xml: object 1", "box")
    assert (record.label, record.crop_id) == ("soda", "a.jpg#2")


def test_a_box_one_pixel_over_the_edge_is_cut_and_marked() -> None:
    record = only_record(photo(encoded(noise(80, 40)), Annotation("cola", Box(-1, 0, 81, 41))))
    assert (record.box, record.clipped) == (Box(0, 0, 80, 40), True)
    assert not only_record(photo(encoded(noise(80, 40)), Annotation("cola", Box(0, 0, 80, 40)))).clipped


def test_one_product_boxed_twice_is_counted_once() -> None:
    first, again, other = Box(0, 0, 20, 20), Box(0, 0, 20, 19), Box(0, 0, 20, 18)  # IoU with the first 0.95 and 0.9
    found = photo(encoded(noise(80, 40)), *(Annotation("cola", box, part=f"object {n}") for n, box in enumerate((first, again, other), 1)))
    results = list(records(found, SETTINGS))
    assert [type(result) for result in results] == [Record, Rejection, Record]
    assert isinstance(results[1], Rejection)
    assert results[1].reason == "one product boxed twice: the IoU with another box of 'cola' is 0.95, over data.duplicate_iou (0.9)"


def test_two_labels_in_one_place_are_not_one_product() -> None:
    found = photo(encoded(noise(80, 40)), Annotation("cola", Box(0, 0, 20, 20)), Annotation("gap", Box(0, 0, 20, 20)))
    assert [type(result) for result in records(found, SETTINGS)] == [Record, Record]


def test_a_photo_without_annotations_gives_nothing() -> None:
    assert list(records(msgspec.structs.replace(photo(b""), annotations=()), SETTINGS)) == []


def test_sizes_in_millimetres_are_the_tight_boxs() -> None:
    settings = msgspec.structs.replace(SETTINGS, crop_context=0.2)
    record = only_record(photo(encoded(noise(80, 40)), Annotation("cola", Box(10, 10, 30, 40)), mm_per_px=0.5), settings)
    assert (record.measured_width_mm, record.measured_height_mm) == (10.0, 15.0)


def test_what_is_cut_off_or_of_unknown_scale_has_no_size() -> None:
    data = encoded(noise(80, 40))
    truncated = only_record(photo(data, Annotation("cola", Box(10, 10, 30, 40), truncated=True), mm_per_px=0.5))
    unknown = only_record(photo(data, Annotation("cola", Box(10, 10, 30, 40))))
    assert truncated.measured_width_mm is truncated.measured_height_mm is None
    assert unknown.measured_width_mm is unknown.measured_height_mm is None


def test_facts_of_photo_and_annotation_reach_the_record() -> None:
    annotation = Annotation("可乐", face="side", truncated=True, occluded=True, difficult=True)
    facts = {"store": "s1", "taken_at": "2024-05-17", "group": "g", "source": "packshot", "annotator": "k", "split": "eval"}
    record = only_record(photo(encoded(noise(32, 32)), annotation, **facts))
    assert {name: getattr(record, name) for name in facts} == facts
    assert (record.label, record.face, record.truncated, record.occluded, record.difficult) == ("可乐", "side", True, True, True)


def test_equal_pixels_have_equal_digests_whatever_the_file() -> None:
    image = noise(40, 40)
    png, bmp = only_record(photo(encoded(image, "PNG"))), only_record(photo(encoded(image, "BMP")))
    assert png.photo_digest == bmp.photo_digest == png.crop_digest
    part = only_record(photo(encoded(image, "PNG"), Annotation("cola", Box(0, 0, 20, 20))))
    assert part.crop_digest != part.photo_digest == png.photo_digest


def test_a_hash_bit_says_that_it_gets_brighter_to_the_right() -> None:
    rising = Image.fromarray(np.tile(np.arange(0, 225, 25, dtype=np.uint8), (8, 1)))
    assert photo_hash(rising) == 2**64 - 1
    assert photo_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
    last_field = np.zeros((8, 9), np.uint8)
    last_field[7, 8] = 255
    assert photo_hash(Image.fromarray(last_field)) == 1


def test_hash_distance_counts_bits() -> None:
    assert hash_distance(0b1011, 0b0001) == 2
    assert hash_distance(2**64 - 1, 0) == fingerprints.HASH_BITS


def test_a_photo_and_its_smaller_darker_copy_are_near_duplicates() -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((300, 300))
    copy = image.resize((200, 200)).point(lambda value: value * 0.8)
    assert hash_distance(photo_hash(image), photo_hash(copy)) <= 4


def test_numbers_of_a_flat_image() -> None:
    flat = fingerprints.numbers(Image.new("L", (10, 10), 51))
    assert flat.brightness == pytest.approx(0.2)
    assert (flat.contrast, flat.sharpness) == (0.0, 0.0)


def test_numbers_of_a_black_and_white_image() -> None:
    image = Image.new("L", (10, 10), 0)
    image.paste(255, (0, 0, 5, 10))
    assert fingerprints.numbers(image).brightness == pytest.approx(0.5)
    assert fingerprints.numbers(image).contrast == pytest.approx(0.5)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    dot = np.zeros((3, 4), np.uint8)
    dot[1, 1] = 255  # the two inner pixels have -4 and 1: mean -1.5, variance 6.25
    assert fingerprints.numbers(Image.fromarray(dot)).sharpness == pytest.approx(6.25)
    assert fingerprints.numbers(Image.new("L", (2, 2))).sharpness == 0.0


def test_sharpness_of_a_large_image_is_its_middles() -> None:
    image = Image.new("L", (2000, 600), 0)
    image.paste(255, (0, 0, 100, 600))  # an edge outside the middle 512 px
    assert fingerprints.numbers(image).sharpness == 0.0


def test_colours_are_shares_of_255_in_64_bins() -> None:
    image = Image.new("RGB", (200, 100), (255, 0, 0))
    image.paste((0, 0, 64), (0, 0, 50, 100))
    found = fingerprints.colors(image)
    assert len(found) == 64
    assert {bin_: share for bin_, share in enumerate(found) if share} == {48: 191, 1: 64}
