"""Image bytes of every kind, good and bad."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from embedding_engine.errors import InvalidImage
from embedding_engine.images import data_uri, decoded_image, image_facts, image_from_data_uri
from embedding_engine.types import ImageFacts


def encoded(image: Image.Image, name: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name)
    return buffer.getvalue()


def png_bomb(side: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF"])
def test_facts_and_pixels(name: str) -> None:
    content = encoded(Image.new("RGB", (100, 80), "red"), name)
    facts = image_facts(content)
    assert (facts.width, facts.height, facts.format) == (100, 80, name.lower())
    assert decoded_image(content).size == (100, 80)
    assert image_from_data_uri(data_uri(content)) == content


def test_depth_is_bits_per_pixel() -> None:
    assert image_facts(encoded(Image.new("L", (9, 9)), "PNG")) == ImageFacts(9, 9, "png", 8)
    assert image_facts(encoded(Image.new("RGBA", (9, 9)), "PNG")).bit_depth == 32


def test_transparent_parts_become_white() -> None:
    content = encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")
    assert decoded_image(content).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    content = encoded(Image.new("I;16", (4, 4), 32_768), "PNG")
    pixel = decoded_image(content).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert 120 < pixel[0] < 136


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert decoded_image(buffer.getvalue()).getpixel((0, 0)) == (255, 0, 0)


def test_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(InvalidImage, match="pixels"):
        image_facts(png_bomb(50_000))


def test_damaged_and_foreign_files_are_refused() -> None:
    jpeg = encoded(Image.effect_noise((200, 200), 90).convert("RGB"), "JPEG")
    with pytest.raises(InvalidImage, match="damaged"):
        decoded_image(jpeg[: len(jpeg) // 2])
    tiff = encoded(Image.new("RGB", (9, 9)), "TIFF")
    for content in (b"", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", tiff):
        with pytest.raises(InvalidImage):
            image_facts(content)
