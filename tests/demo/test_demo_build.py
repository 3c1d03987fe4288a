"""The demo set: what is in the files, that they open, and that each build is the same."""

from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image
from pptx import Presentation

from searchapp.demo import company
from searchapp.demo.build import DemoFile, demo_build
from searchapp.demo.queries import DEMO_QUERIES


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoFile, ...]:
    return demo_build(tmp_path_factory.mktemp("demo") / "set")


def _of_type(demo: tuple[DemoFile, ...], *suffixes: str) -> list[Path]:
    return [file.path for file in demo if file.path.suffix in suffixes]


def _page_texts(path: Path) -> list[str]:
    document = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def _page_count(path: Path) -> int:
    if path.suffix == ".pptx":
        return len(Presentation(str(path)).slides)
    return len(_page_texts(path)) if path.suffix == ".pdf" else 1


def _hidden(slide: Any) -> bool:
    return bool(slide._element.get("show") == "0")


def test_set_is_large_and_varied(demo: tuple[DemoFile, ...]) -> None:
    assert len(_of_type(demo, ".pptx")) >= 3
    assert len(_of_type(demo, ".pdf")) >= 3
    assert len(_of_type(demo, ".png", ".jpg")) >= 10
    assert sum(_page_count(file.path) for file in demo) >= 45


def test_titles_tags_and_names_are_whole(demo: tuple[DemoFile, ...]) -> None:
    assert len({file.title for file in demo}) == len(demo)
    assert len({file.path.name for file in demo}) == len(demo)
    for file in demo:
        assert file.path.is_file()
        assert file.tags
        assert set(file.metadata) == {"company", "department", "year"}


def test_every_build_gives_the_same_bytes(demo: tuple[DemoFile, ...], tmp_path: Path) -> None:
    again = demo_build(tmp_path)
    assert [(f.path.name, f.title, f.tags, f.metadata) for f in again] == [
        (f.path.name, f.title, f.tags, f.metadata) for f in demo
    ]
    differing = [
        a.path.name
        for a, b in zip(again, demo, strict=True)
        if a.path.read_bytes() != b.path.read_bytes()
    ]
    assert differing == []


def test_decks_have_titles_notes_charts_tables_and_hidden_slides(
    demo: tuple[DemoFile, ...],
) -> None:
    hidden = charts = tables = 0
    for path in _of_type(demo, ".pptx"):
        slides = list(Presentation(str(path)).slides)
        titles = [slide.shapes.title.text_frame.text for slide in slides]
        assert all(titles)
        assert len(set(titles)) == len(titles)
        assert all(slide.notes_slide.notes_text_frame.text for slide in slides)
        hidden += sum(_hidden(slide) for slide in slides)
        charts += sum(shape.has_chart for slide in slides for shape in slide.shapes)
        tables += sum(shape.has_table for slide in slides for shape in slide.shapes)
    assert hidden == 3
    assert charts >= 8
    assert tables >= 8


def test_nothing_lies_outside_its_slide(demo: tuple[DemoFile, ...]) -> None:
    for path in _of_type(demo, ".pptx"):
        deck = Presentation(str(path))
        for slide in list(deck.slides)[1:]:  # the horizon of the cover runs off on purpose
            for shape in slide.shapes:
                assert shape.left >= 0 and shape.left + shape.width <= deck.slide_width, shape.name
                assert shape.top >= 0 and shape.top + shape.height <= deck.slide_height, shape.name


def test_only_the_scan_has_no_text_layer(demo: tuple[DemoFile, ...]) -> None:
    for path in _of_type(demo, ".pdf"):
        texts = [text.strip() for text in _page_texts(path)]
        if "scan" in path.name:
            assert len(texts) == 4
            assert texts == [""] * 4
        else:
            assert len(texts) >= 9
            assert all(len(text) > 200 for text in texts[1:])


def test_chapters_fill_one_page_each(demo: tuple[DemoFile, ...]) -> None:
    counts = {path.name: len(_page_texts(path)) for path in _of_type(demo, ".pdf")}
    assert counts["safety-and-service-handbook.pdf"] == 10
    assert counts["annual-report-2025.pdf"] == 9


def test_images_open_at_a_readable_size(demo: tuple[DemoFile, ...]) -> None:
    for path in _of_type(demo, ".png", ".jpg"):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) >= 700
            assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 8


def test_figures_agree_between_files() -> None:
    total = company.REVENUE[-1]
    for parts in (
        company.REGION_REVENUE_2025,
        company.SEGMENT_REVENUE_2025,
        company.REVENUE_QUARTERS_2025,
    ):
        assert sum(parts) == pytest.approx(total)
    before = (company.REGION_REVENUE_2024, company.REVENUE_QUARTERS_2024)
    assert [sum(parts) for parts in before] == pytest.approx([company.REVENUE[-2]] * 2)
    assert sum(company.REGION_TARGET_2026) == pytest.approx(company.PLAN_REVENUE[0])
    assert sum(company.HEADCOUNT) == 214


def test_statements_add_up() -> None:
    sides: tuple[tuple[tuple[str, float, float], ...], ...] = (company.ASSETS, company.LIABILITIES)
    for column in range(2):
        income = [figures[column] for _, *figures in company.INCOME_STATEMENT]
        assert income[0] + income[1] == pytest.approx(income[2])
        assert sum(income[2:6]) == pytest.approx(income[6])
        assert sum(income[6:9]) == pytest.approx(income[9])
        for side in sides:
            values = [figures[column] for _, *figures in side]
            assert sum(values[:-1]) == pytest.approx(values[-1])
    flows = [value for _, value in company.CASH_FLOW]
    assert sum(flows[:4]) == pytest.approx(flows[4])
    assert sum(flows[4:8]) == pytest.approx(flows[8])
    assert company.ASSETS[0][1] - company.ASSETS[0][2] == pytest.approx(flows[8])


def test_queries_point_at_visible_pages(demo: tuple[DemoFile, ...]) -> None:
    paths = {file.path.name: file.path for file in demo}
    assert len({query.text for query in DEMO_QUERIES}) == len(DEMO_QUERIES) >= 10
    for query in DEMO_QUERIES:
        path = paths[query.filename]
        assert 1 <= query.page <= _page_count(path)
        if path.suffix == ".pptx":
            assert not _hidden(Presentation(str(path)).slides[query.page - 1])
