"""Image files become upright sRGB pages on white, within limits checked before decoding."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from searchapp.errors import FileRejected
from searchapp.rendering.types import RenderLimits

from .documents import noise, picture_of, render_here

RED = (220, 30, 30)


def nearly(pixel: object, expected: tuple[int, int, int], tolerance: int = 30) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(got - want) <= tolerance for got, want in zip(pixel, expected, strict=True))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_each_format_becomes_a_page(tmp_path: Path, name: str) -> None:
    path = tmp_path / "picture"
    Image.new("RGB", (120, 80), RED).save(path, name)
    facts, (page,) = render_here(path)
    assert (facts.page_count, page.number, page.width, page.height) == (1, 1, 120, 80)
    assert nearly(picture_of(page).getpixel((60, 40)), RED)
    assert not page.has_text_layer


def test_heic_becomes_a_page(tmp_path: Path) -> None:
    import pillow_heif

    path = tmp_path / "picture.heic"
    pillow_heif.from_pillow(Image.new("RGB", (120, 80), RED)).save(path)
    assert nearly(picture_of(render_here(path)[1][0]).getpixel((60, 40)), RED)


def test_exif_orientation_turns_the_page_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 20, 40), fill=RED)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    _, (page,) = render_here(tmp_path / "a.jpg")
    assert (page.width, page.height) == (40, 80)
    assert nearly(picture_of(page).getpixel((20, 5)), RED)
    assert nearly(picture_of(page).getpixel((20, 70)), (255, 255, 255))


def test_cmyk_has_its_colours(tmp_path: Path) -> None:
    Image.new("CMYK", (50, 50), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert nearly(picture_of(render_here(tmp_path / "a.jpg")[1][0]).getpixel((9, 9)), (254, 0, 0))


def test_sixteen_bits_and_float_keep_their_greys(tmp_path: Path) -> None:
    for name, mode, value in (("a.png", "I;16", 32_768), ("b.tif", "I;16", 32_768)):
        Image.new(mode, (20, 20), value).save(tmp_path / name)
        assert nearly(
            picture_of(render_here(tmp_path / name)[1][0]).getpixel((9, 9)), (128,) * 3, 3
        )
    dim = struct.pack("<20H", *[300] * 10, *[700] * 10) * 20
    Image.frombytes("I;16", (20, 20), dim).save(tmp_path / "dim.tif")
    picture = picture_of(render_here(tmp_path / "dim.tif")[1][0])
    assert nearly(picture.getpixel((2, 9)), (0, 0, 0))
    assert nearly(picture.getpixel((17, 9)), (255, 255, 255))
    ramp = Image.new("F", (2, 1))
    ramp.putdata([-5.0, 1e6])
    ramp.resize((40, 20), Image.Resampling.NEAREST).save(tmp_path / "c.tif")
    picture = picture_of(render_here(tmp_path / "c.tif")[1][0])
    assert nearly(picture.getpixel((2, 9)), (0, 0, 0))
    assert nearly(picture.getpixel((37, 9)), (255, 255, 255))


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "a.png")
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "b.png", transparency=0)
    for name in ("a.png", "b.png"):
        picture = picture_of(render_here(tmp_path / name)[1][0])
        assert nearly(picture.getpixel((9, 9)), (255, 255, 255), 2)


def test_every_tiff_frame_is_a_page_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    frames = [Image.new("RGB", (60, 40), colour) for colour in (RED, "white", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    facts, pages = render_here(path)
    assert (facts.page_count, [page.number for page in pages]) == (3, [1, 2, 3])
    assert nearly(picture_of(pages[2]).getpixel((9, 9)), (0, 0, 255))

    broken = tmp_path / "broken.tif"
    deflated = [noise((60, 40), seed) for seed in range(3)]
    deflated[0].save(broken, save_all=True, append_images=deflated[1:], compression="tiff_deflate")
    content = broken.read_bytes()
    with Image.open(broken) as image:
        image.seek(1)
        start = image.tag_v2[273][0]  # type: ignore[attr-defined]
    broken.write_bytes(content[:start] + bytes(2_000) + content[start + 2_000 :])
    _, pages = render_here(broken)
    assert [page.error_code for page in pages] == ["", "page_unreadable", ""]


def test_of_an_animation_the_first_frame_only(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, "blue")]
    for name in ("a.gif", "b.webp", "c.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        _, (page,) = render_here(tmp_path / name)
        assert nearly(picture_of(page).getpixel((9, 9)), RED)


def test_large_images_shrink_to_the_page_size(tmp_path: Path) -> None:
    Image.new("RGB", (3_000, 1_500), RED).save(tmp_path / "a.jpg")
    _, (page,) = render_here(tmp_path / "a.jpg")
    assert 1_250_000 < page.width * page.height <= 1_300_000
    assert page.width / page.height == pytest.approx(2, abs=0.01)


def test_pixel_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x"))
    with pytest.raises(FileRejected) as caught:
        render_here(path)
    assert caught.value.code == "image_too_large"
    assert str(RenderLimits().max_source_pixels) in caught.value.message


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_truncated_images_are_corrupt(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cut"
    noise((200, 200)).save(path, name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileRejected) as caught:
        render_here(path)
    assert caught.value.code == "corrupt_file"
