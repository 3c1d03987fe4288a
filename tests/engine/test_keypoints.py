"""Keypoints: what they find again of a picture, what they do not, and what they stand."""

import base64
import json
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from embedding_engine.api import answer
from embedding_engine.engine import Engine
from embedding_engine.errors import InvalidImage
from embedding_engine.keypoints import (
    PAGE_POINTS,
    POINT_BYTES,
    QUERY_POINTS,
    WORD_BITS,
    Keypoints,
    likeness,
    page_keypoints,
    query_keypoints,
)
from tests.crops import crop_make, jpeg

SURE = 0.5


def drawing(seed: int, size: tuple[int, int] = (1200, 900)) -> Image.Image:
    """Shapes at random places, no text."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.randrange(size[0] - 140), rng.randrange(size[1] - 140)
        box = (x, y, x + rng.randrange(20, 140), y + rng.randrange(20, 140))
        color = tuple(rng.randrange(230) for _ in range(3))
        rng.choice([draw.rectangle, draw.ellipse])(box, fill=color, outline="black", width=3)
        draw.line((x, y, rng.randrange(size[0]), rng.randrange(size[1])), fill=color, width=2)
    return image


def noise(width: int, height: int) -> Image.Image:
    """Grey dots."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width), np.uint8, endpoint=False))


def score(query: bytes | Image.Image, page: bytes | Image.Image) -> float:
    return likeness(query_keypoints(query).points, page_keypoints(page)).score


@pytest.mark.parametrize("seed", range(6))
def test_a_crop_is_like_its_picture_and_like_no_other(seed: int) -> None:
    crop = crop_make(jpeg(drawing(seed)), seed)
    assert score(crop, drawing(seed)) > SURE
    assert score(crop, drawing(seed + 100)) == 0


def test_crop_and_picture_share_words_that_others_lack() -> None:
    words = set(query_keypoints(crop_make(jpeg(drawing(1)), 1)).words)
    mine, other = (page_keypoints(drawing(seed)).words for seed in (1, 2))
    assert len(words.intersection(mine)) > 5 * (1 + len(words.intersection(other)))
    assert 0 <= min(words) <= max(words) < 2**WORD_BITS


def test_query_words_begin_with_those_of_the_page() -> None:
    image = drawing(3)
    assert set(page_keypoints(image).words) <= set(query_keypoints(image).words)


@pytest.mark.parametrize("tilt", [-4, 4])
def test_a_little_tilt_is_like(tilt: float) -> None:
    assert score(drawing(5).rotate(tilt, fillcolor="grey"), drawing(5)) > SURE


def test_a_mirrored_or_turned_picture_is_not_like() -> None:
    image = drawing(6)
    assert score(ImageOps.mirror(image), image) == 0
    assert score(image.rotate(90, expand=True), image) == 0


def test_points_are_spread_over_the_picture() -> None:
    """A crowded half must not take the points of the other: crops of that one would be lost."""
    image = Image.new("RGB", (1200, 900), "white")
    for row in range(4):
        image.paste(drawing(row, (600, 225)), (600, 225 * row))
    draw = ImageDraw.Draw(image)
    for x in range(60, 560, 70):
        for y in range(60, 860, 90):
            draw.ellipse((x, y, x + 9, y + 9), fill="#c0c0c0")
    places = page_keypoints(image).places
    assert len(places) == PAGE_POINTS
    assert len(places[places[:, 0] < 200]) > 60


def test_bytes_there_and_back() -> None:
    points = page_keypoints(drawing(4))
    again = Keypoints.from_bytes(points.to_bytes())
    assert len(points.to_bytes()) == POINT_BYTES * len(points) <= POINT_BYTES * PAGE_POINTS
    assert again.words == points.words
    assert np.array_equal(again.codes, points.codes)
    assert np.abs(again.places[:, :2] - points.places[:, :2]).max() < 0.01
    with pytest.raises(ValueError, match="buffer size"):
        Keypoints.from_bytes(b"odd")


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (15, 400), (400, 300), (16, 16)])
def test_blank_and_thin_pictures_have_no_points_and_are_like_nothing(size: tuple[int, int]) -> None:
    blank = Image.new("RGB", size, "white")
    assert len(page_keypoints(blank)) == 0
    assert query_keypoints(blank).words == ()
    assert score(blank, drawing(1)) == score(drawing(1), blank) == score(blank, blank) == 0


def test_noise_gives_no_more_points_than_allowed() -> None:
    dots = noise(1200, 900)
    assert len(page_keypoints(dots)) == PAGE_POINTS
    assert len(query_keypoints(dots).points) == QUERY_POINTS
    assert score(dots, drawing(1)) == 0


def test_many_equal_marks_do_not_pass_for_a_page() -> None:
    """A grid of one mark has hundreds of points of one look."""
    grid = Image.new("L", (800, 600), 255)
    draw = ImageDraw.Draw(grid)
    for x in range(20, 800, 40):
        for y in range(20, 600, 40):
            draw.rectangle((x, y, x + 12, y + 12), fill=0)
    assert score(grid, drawing(1)) == score(drawing(1), grid) == 0


@pytest.mark.parametrize("content", [b"", b"no picture", jpeg(Image.new("RGB", (64, 64)))[:200]])
def test_bytes_that_are_no_picture_are_refused(content: bytes) -> None:
    for make in (page_keypoints, query_keypoints):
        with pytest.raises(InvalidImage):
            make(content)


def test_route_gives_the_points_and_refuses_what_is_no_picture() -> None:
    engine = Engine("fake")
    picture = jpeg(drawing(1))
    asked = answer(engine, method="POST", path="/v1/keypoints", body=picture)
    found = json.loads(asked.body)
    assert base64.b64decode(found["points"]) == query_keypoints(picture).points.to_bytes()
    assert tuple(found["words"]) == query_keypoints(picture).words
    assert answer(engine, method="POST", path="/v1/keypoints", body=b"none").status == 400
