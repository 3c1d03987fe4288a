"""What a file is, is decided by its bytes; what cannot become pages is refused with a code."""

import struct
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from searchapp.errors import FileRejected
from searchapp.rendering.formats import FORMATS, renderer_for
from searchapp.rendering.sniffing import sniff
from searchapp.rendering.types import RenderLimits

from .documents import make_deck, make_pdf, rewrite_zip


def refused(path: Path, filename: str = "", limits: RenderLimits | None = None) -> FileRejected:
    with pytest.raises(FileRejected) as caught:
        sniff(path, filename=filename, limits=limits)
    return caught.value


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_images_are_known_by_their_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "no-extension"
    Image.new("RGB", (9, 9)).save(path, name)
    assert sniff(path).media_type == f"image/{name.lower()}"


def test_heic_is_known_by_its_bytes(tmp_path: Path) -> None:
    import pillow_heif

    path = tmp_path / "picture"
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(path)
    assert sniff(path).media_type == "image/heic"


def test_pdf_header_may_follow_junk(tmp_path: Path) -> None:
    path = tmp_path / "mail.pdf"
    path.write_bytes(b"junk before\n" + make_pdf(tmp_path / "a.pdf", ["x"]).read_bytes())
    assert sniff(path).extension == ".pdf"


@pytest.mark.parametrize(
    ("main", "extension"),
    [
        ("openxmlformats-officedocument.presentationml.presentation", ".pptx"),
        ("openxmlformats-officedocument.presentationml.slideshow", ".ppsx"),
        ("ms-powerpoint.presentation.macroEnabled", ".pptm"),
        ("ms-powerpoint.slideshow.macroEnabled", ".ppsm"),
    ],
)
def test_office_packages_by_main_part(tmp_path: Path, main: str, extension: str) -> None:
    path = tmp_path / "deck"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types><Override PartName="/ppt/presentation.xml" '
            f'ContentType="application/vnd.{main}.main+xml"/></Types>',
        )
    assert sniff(path).extension == extension


def test_odp_by_mimetype_and_encrypted_odp(tmp_path: Path) -> None:
    path = tmp_path / "deck.odp"
    mimetype = b"application/vnd.oasis.opendocument.presentation"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", mimetype)
        archive.writestr("META-INF/manifest.xml", "<manifest:manifest/>")
    assert sniff(path).extension == ".odp"
    locked = rewrite_zip(
        path,
        tmp_path / "locked.odp",
        {"META-INF/manifest.xml": b"<m:file-entry><m:encryption-data m:checksum='x'/>"},
    )
    assert refused(locked).code == "encrypted_file"


def ole_file(path: Path, names: list[str], content: bytes = b"") -> Path:
    """An OLE2 container whose root holds empty streams of these names, one after the other."""
    none, size = 0xFFFFFFFF, 512
    header = bytearray(size)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 9)
    struct.pack_into("<I", header, 48, 1)
    struct.pack_into("<2I", header, 68, 0xFFFFFFFE, 0)
    struct.pack_into("<109I", header, 76, 0, *[none] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 0xFFFFFFFE, *[none] * 126)

    def entry(name: str, left: int, right: int, child: int) -> bytes:
        encoded = name.encode("utf-16-le")
        start = encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded) + 2, 2, 1)
        return (start + struct.pack("<3I", left, right, child)).ljust(128, b"\0")

    entries = [entry("Root Entry", none, none, 1)]
    entries += [
        entry(name, none, at + 2 if at + 1 < len(names) else none, none)
        for at, name in enumerate(names)
    ]
    path.write_bytes(bytes(header) + table + b"".join(entries).ljust(size, b"\0") + content)
    return path


def test_ole_containers_by_top_level_streams(tmp_path: Path) -> None:
    deck = ole_file(tmp_path / "deck", ["Current User", "PowerPoint Document"])
    assert sniff(deck).extension == ".ppt"
    word = refused(ole_file(tmp_path / "w.ppt", ["WordDocument"]))
    assert (word.code, "Word 97-2003" in word.message) == ("unsupported_type", True)
    assert refused(ole_file(tmp_path / "e.pptx", ["EncryptedPackage"])).code == "encrypted_file"
    mark = b"\0\0\xf6\x0f\x20\0\0\0\x14\0\0\0\xdf\xc4\xd1\xf3"
    locked = ole_file(tmp_path / "locked.ppt", ["PowerPoint Document"], mark)
    assert refused(locked).code == "encrypted_file"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"just some words", "plain text"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "SVG"),
        (b"<!doctype html><p>", "web page"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\1\0\1\0\x10\x10", "icon"),
        (b"{\\rtf1", "RTF"),
        (b"\x7fELF\2\1\1", "program"),
        (b"\x1f\x8b\x08", "archive"),
    ],
)
def test_refusal_names_what_the_file_is(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "thing.png"
    path.write_bytes(content)
    error = refused(path, "thing.png")
    assert error.code == "unsupported_type"
    assert name in error.message
    assert "pdf" in error.message


def test_word_package_and_plain_zip_are_refused(tmp_path: Path) -> None:
    for main, name in (("wordprocessingml.document", "Word"), ("", "zip archive")):
        path = tmp_path / "renamed.pptx"
        kind = f"application/vnd.openxmlformats-officedocument.{main}.main+xml" if main else ""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("[Content_Types].xml", f'<Override ContentType="{kind}"/>')
        error = refused(path, "renamed.pptx")
        assert (error.code, name in error.message) == ("unsupported_type", True)


def test_empty_and_truncated_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pptx"
    empty.touch()
    assert refused(empty).code == "empty_file"
    deck = make_deck(tmp_path / "deck.pptx").read_bytes()
    cut = tmp_path / "cut.pptx"
    cut.write_bytes(deck[: len(deck) * 6 // 10])
    assert refused(cut).code == "corrupt_file"


def test_name_of_another_kind_is_a_mismatch_of_the_same_kind_is_not(tmp_path: Path) -> None:
    pdf = make_pdf(tmp_path / "a", ["x"])
    assert refused(pdf, "a.PPTX").code == "type_mismatch"
    jpeg = tmp_path / "b"
    Image.new("RGB", (9, 9)).save(jpeg, "JPEG")
    assert sniff(jpeg, filename="b.png").media_type == "image/jpeg"
    assert sniff(jpeg, filename="b.unknown").media_type == "image/jpeg"


def test_zip_bombs_are_refused_unopened(tmp_path: Path) -> None:
    deck = make_deck(tmp_path / "deck.pptx")
    zeros = rewrite_zip(deck, tmp_path / "zeros.pptx", {"ppt/a.xml": bytes(60_000_000)})
    assert refused(zeros).code == "archive_bomb"
    large = refused(deck, limits=RenderLimits(max_unpacked_bytes=10_000))
    assert large.code == "archive_bomb"
    assert sniff(deck).extension == ".pptx"
    many = rewrite_zip(deck, tmp_path / "many.pptx", {f"x/{n}": b"" for n in range(300)})
    assert refused(many, limits=RenderLimits(max_archive_entries=200)).code == "archive_bomb"


def test_zip_with_a_password_is_encrypted(tmp_path: Path) -> None:
    deck = make_deck(tmp_path / "deck.pptx").read_bytes()
    directory = deck.rindex(b"PK\x01\x02")
    locked = tmp_path / "locked.pptx"
    flags = bytes([deck[directory + 8] | 1])
    locked.write_bytes(deck[: directory + 8] + flags + deck[directory + 9 :])
    assert refused(locked).code == "encrypted_file"


def test_every_format_of_the_registry_has_a_renderer() -> None:
    for spec in FORMATS.values():
        assert callable(renderer_for(spec.file_type))
        assert sum(map(bool, (spec.signature, spec.package_type, spec.ole_stream))) == 1
