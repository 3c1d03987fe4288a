"""PDF pages: picture, text layer, word boxes, and what happens to broken ones."""

from pathlib import Path

import pytest
from PIL import Image
from reportlab.pdfgen import canvas

from searchapp.errors import FileRejected
from searchapp.rendering.types import RenderLimits

from .documents import make_pdf, picture_of, raw_pdf, render_here


def test_pages_texts_blank_pages_and_pictures(tmp_path: Path) -> None:
    facts, pages = render_here(make_pdf(tmp_path / "a.pdf", ["Rotor blade 17", "", "Third"]))
    assert (facts.page_count, facts.title) == (3, "Rotor manual")
    assert [page.number for page in pages] == [1, 2, 3]
    assert [page.text for page in pages] == ["Rotor blade 17", "", "Third"]
    assert [page.has_text_layer for page in pages] == [True, False, True]
    limit = RenderLimits().page_pixels
    image = picture_of(pages[0])
    assert image.format == "JPEG"
    assert limit * 0.98 < image.width * image.height <= limit
    assert pages[0].thumbnail is not None
    with Image.open(pages[0].thumbnail) as thumbnail:
        assert (thumbnail.format, thumbnail.width) == ("WEBP", 400)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_word_boxes_lie_on_the_ink_however_the_page_is_turned(
    tmp_path: Path, rotation: int
) -> None:
    _, (page,) = render_here(make_pdf(tmp_path / "a.pdf", ["WWWW"], rotation=rotation))
    (word,) = page.words
    picture = picture_of(page).convert("L").point(lambda value: 255 if value < 128 else 0)
    left, top, right, bottom = picture.getbbox() or (0, 0, 0, 0)
    assert word.text == "WWWW"
    assert word.x0 - 0.01 <= left / page.width and right / page.width <= word.x1 + 0.01
    assert word.y0 - 0.01 <= top / page.height and bottom / page.height <= word.y1 + 0.01
    assert (word.x1 - word.x0) * (word.y1 - word.y0) < 0.02


def page_with(content: bytes, extra: bytes = b"", fonts: bytes = b"") -> bytes:
    return raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R"
            b"/Resources<</Font<</F 5 0 R>>>>%s>>" % extra,
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica%s>>" % fonts,
            b"<</Length 200>>stream\n/CMapName/X def begincmap 1 begincodespacerange<00><ff>"
            b"endcodespacerange 1 beginbfrange<41><5a><e041>endbfrange endcmap\nendstream",
        ]
    )


def test_word_boxes_follow_the_crop_box(tmp_path: Path) -> None:
    path = tmp_path / "crop.pdf"
    text = b"BT /F 20 Tf 110 150 Td (Inside) Tj ET BT /F 9 Tf 10 10 Td (Outside) Tj ET"
    path.write_bytes(page_with(text, b"/CropBox[100 100 200 200]"))
    _, (page,) = render_here(path)
    assert [word.text for word in page.words] == ["Inside"]
    assert page.words[0].x0 == pytest.approx(0.1, abs=0.03)
    assert 0.25 < page.words[0].y0 < page.words[0].y1 < 0.6


def test_a_word_broken_at_the_line_end_is_one_word_with_two_boxes(tmp_path: Path) -> None:
    path = tmp_path / "hyphen.pdf"
    path.write_bytes(
        page_with(b"BT /F 12 Tf 20 200 Td (see the main-) Tj 0 -15 Td (tenance plan) Tj ET")
    )
    _, (page,) = render_here(path)
    assert page.text == "see the maintenance plan"
    parts = [word for word in page.words if word.text == "maintenance"]
    assert len(parts) == 2
    assert parts[0].y1 < parts[1].y1


def test_ligatures_are_spelled_out(tmp_path: Path) -> None:
    path = tmp_path / "ligature.pdf"
    path.write_bytes(
        page_with(
            b"BT /F 12 Tf 20 200 Td (o\\001ce) Tj ET",
            fonts=b"/Encoding<</Type/Encoding/Differences[1/uniFB03]>>",
        )
    )
    _, (page,) = render_here(path)
    assert page.text == "office"
    assert page.words[0].text == "office"


def test_private_use_text_is_no_text_layer(tmp_path: Path) -> None:
    path = tmp_path / "garbage.pdf"
    path.write_bytes(
        page_with(b"BT /F 12 Tf 20 200 Td (GARBAGE TEXT LAYER) Tj ET", fonts=b"/ToUnicode 6 0 R")
    )
    _, (page,) = render_here(path)
    assert "\ue047" in page.text
    assert not page.has_text_layer


@pytest.mark.parametrize(("text", "expected"), [("page 7", False), ("many words " * 9, True)])
def test_scan_with_stray_characters_has_no_text_layer(
    tmp_path: Path, text: str, expected: bool
) -> None:
    picture = tmp_path / "scan.png"
    Image.new("L", (50, 50), 200).save(picture)
    sheet = canvas.Canvas(str(tmp_path / "scan.pdf"), pagesize=(400, 400))
    sheet.drawImage(str(picture), 0, 0, 400, 400)
    sheet.drawString(20, 20, text)
    sheet.save()
    _, (page,) = render_here(tmp_path / "scan.pdf")
    assert text.strip() in page.text
    assert page.has_text_layer is expected


def test_user_password_is_refused_owner_password_is_not(tmp_path: Path) -> None:
    locked = make_pdf(tmp_path / "locked.pdf", ["secret"], password="open", ownerPassword="own")
    with pytest.raises(FileRejected) as caught:
        render_here(locked)
    assert caught.value.code == "encrypted_file"
    owned = make_pdf(tmp_path / "owned.pdf", ["readable"], password="", ownerPassword="own")
    assert render_here(owned)[1][0].text == "readable"


def test_lying_page_tree_is_a_notice(tmp_path: Path) -> None:
    path = tmp_path / "lie.pdf"
    path.write_bytes(page_with(b"").replace(b"/Count 1/", b"/Count 9/"))
    facts, pages = render_here(path)
    assert (facts.page_count, len(pages)) == (1, 1)
    assert "9" in facts.notices[0]


def test_no_pages_corrupt_and_too_many_pages(tmp_path: Path) -> None:
    cases = {
        "no_pages": raw_pdf(
            [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]>>"]
        ),
        "corrupt_file": b"%PDF-1.7\nnothing else",
        "too_many_pages": make_pdf(tmp_path / "3.pdf", ["1", "2", "3"]).read_bytes(),
    }
    for code, content in cases.items():
        path = tmp_path / f"{code}.pdf"
        path.write_bytes(content)
        with pytest.raises(FileRejected) as caught:
            render_here(path, RenderLimits(max_pages=2))
        assert caught.value.code == code


@pytest.mark.parametrize("box", [b"0 0 595 2147483648", b"0 0 14400 14400", b"0 0 1 1", b"0 0 9 0"])
def test_odd_page_sizes_stay_bounded(tmp_path: Path, box: bytes) -> None:
    path = tmp_path / "odd.pdf"
    path.write_bytes(page_with(b"").replace(b"0 0 300 300", box))
    _, (page,) = render_here(path)
    assert 1 <= page.width * page.height <= RenderLimits().page_pixels
    assert max(page.width, page.height) <= 8_000


def test_text_is_clipped_at_the_limit(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "long.pdf", ["words and more words " * 50])
    _, (page,) = render_here(path, RenderLimits(max_text_chars=30))
    assert page.text == "words and more words words and"
