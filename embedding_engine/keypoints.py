"""What a picture looks like, point by point: finds the page that a picture was cut from.

Knows no model that embeds, no text and no rows. Points are SIFT's (Lowe 2004), upright, because
pages and screenshots are: corners that differ only by a quarter turn stay apart. A descriptor
becomes signs on fitted axes; its leading signs are its word, so that equal words can be looked up.
Figures behind the constants: docs/decisions/0006-pictures.md.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding_engine.images import decoded_image
from embedding_engine.types import FloatArray

AXES_FILE = Path(__file__).with_name("keypoint_axes.npz")
SIDE = 400
"""Pixels of the longer side that points are sought on; SIFT doubles it once more."""
PAGE_POINTS = 300
QUERY_POINTS = 400
CODE_BITS = 64
WORD_BITS = 28
PROBES = 4
"""Words that a point of a query is looked up by: its own, and those it nearly has."""

# Less is thrown away of flat pictures than SIFT's own 0.04 does: thin charts live on it.
_CONTRAST = 0.02
# Best points are taken in turns from cells so wide: any crop of the page then has its share.
_CELL = SIDE // 8
_RATIO = 0.85
_TOLERANCE = 5.0
_MAX_TILT = math.radians(15)
_MAX_OCTAVES = 3.0
_SIZE_OCTAVES = 0.8
_MIN_MATCHES = 4
_PAIRS, _HYPOTHESES = 2_000, 200
_CHANCE_INLIERS, _INLIERS_SCALE = 7, 12
# In units of the stored bytes: pixels of SIDE, and the octave of a point's size.
_PLACE_UNIT = 1 / 128
_SIZE_UNIT = 1 / 16

_POINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("size", "u1"), ("code", "u1", CODE_BITS // 8)])
POINT_BYTES = _POINT.itemsize

_Complex = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """Of one picture, most telling first.

    places: (n, 3) float32, x, y and diameter in pixels of the picture scaled to SIDE;
    codes: (n, CODE_BITS / 8) uint8.
    """

    places: FloatArray
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def words(self) -> list[int]:
        """The distinct words, each below 2 ** WORD_BITS."""
        return sorted(set(_words(self.codes).tolist()))

    @classmethod
    def none(cls) -> "Keypoints":
        """Of a picture with nothing on it."""
        return cls.from_bytes(b"")

    def to_bytes(self) -> bytes:
        """POINT_BYTES a point, places rounded."""
        points = np.zeros(len(self), _POINT)
        points["x"], points["y"] = (self.places[:, :2] / _PLACE_UNIT).round().clip(0, 65_535).T
        points["size"] = (np.log2(self.places[:, 2]) / _SIZE_UNIT).round().clip(0, 255)
        points["code"] = self.codes
        return points.tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Keypoints":
        """What `to_bytes` gave. Raises ValueError for anything else."""
        points = np.frombuffer(content, _POINT)
        places = np.empty((len(points), 3), np.float32)
        places[:, 0], places[:, 1] = points["x"] * _PLACE_UNIT, points["y"] * _PLACE_UNIT
        places[:, 2] = np.exp2(points["size"] * _SIZE_UNIT)
        return cls(places, np.ascontiguousarray(points["code"]))


@dataclass(frozen=True, slots=True, eq=False)
class QueryKeypoints:
    """Of a picture that is looked for: its points, and the words to look pages up by."""

    points: Keypoints
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well a page shows a picture: points that agree in look and place, confidence 0..1."""

    inliers: int
    score: float


def page_keypoints(image: bytes | Image.Image) -> Keypoints:
    """The points by which a page is found; none for a blank one. InvalidImage as decoded_image."""
    places, descriptors = root_sift(image, PAGE_POINTS)
    return Keypoints(places, _codes(_projected(descriptors)))


def query_keypoints(image: bytes | Image.Image) -> QueryKeypoints:
    """The points of a picture that is looked for. InvalidImage as decoded_image."""
    places, descriptors = root_sift(image, QUERY_POINTS)
    projected = _projected(descriptors)
    codes = _codes(projected)
    probed = _probes(codes, projected)
    return QueryKeypoints(Keypoints(places, codes), tuple(sorted(set(probed.ravel().tolist()))))


# --- points ----------------------------------------------------------------------------------


def root_sift(image: bytes | Image.Image, count: int) -> tuple[FloatArray, FloatArray]:
    """Places (n, 3) of at most `count` points, as in Keypoints, and their descriptors (n, 128).

    Descriptors are square roots of shares (RootSIFT, Arandjelović and Zisserman 2012).
    """
    import cv2  # heavy, and most processes see no picture

    pixels = _grey(decoded_image(image) if isinstance(image, bytes) else image)
    sift: Any = cv2.SIFT.create(contrastThreshold=_CONTRAST)
    found = sift.detect(pixels, None)
    if not found:
        return np.zeros((0, 3), np.float32), np.zeros((0, 128), np.float32)
    # One point has several directions in SIFT; upright they are one.
    rows = {(*point.pt, point.size): point for point in found}
    table = np.array([(*key, point.response) for key, point in rows.items()], np.float32)
    points = list(rows.values())
    chosen = [points[i] for i in _spread(table, count)]
    for point in chosen:
        point.angle = 0.0
    chosen, descriptors = sift.compute(pixels, chosen)
    places = np.array([(*point.pt, point.size) for point in chosen], np.float32)
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return places, np.sqrt(shares)


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    grey = image.convert("L")
    scale = min(1.0, SIDE / max(grey.size))
    size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
    return np.asarray(grey.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _spread(table: FloatArray, count: int) -> NDArray[np.intp]:
    """Of (n, 4) x, y, size, response: the `count` best in turns from cells; larger ones first,
    because they outlive a smaller copy of the picture."""
    score = table[:, 2] * table[:, 3]
    cells = (table[:, 1] // _CELL) * 1_000 + table[:, 0] // _CELL
    order = np.lexsort((-score, cells))
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1.0))
    lengths = np.diff(starts, append=len(order))
    turns = np.empty(len(order), np.intp)
    turns[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    return np.lexsort((-score, turns))[:count]


def _projected(descriptors: FloatArray) -> FloatArray:
    """(n, 128) -> (n, CODE_BITS): about their mean, on the axes of most variance."""
    mean, axes = _axes()
    return np.asarray((descriptors - mean) @ axes, np.float32)


@lru_cache(maxsize=1)
def _axes() -> tuple[FloatArray, FloatArray]:
    """The mean (128,) and the axes (128, CODE_BITS), most variance first."""
    with np.load(AXES_FILE) as stored:
        return stored["mean"].astype(np.float32), stored["axes"].astype(np.float32)


def _codes(projected: FloatArray) -> NDArray[np.uint8]:
    return np.packbits(projected >= 0, axis=1, bitorder="little")


def _words(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The leading WORD_BITS of each code."""
    leading = np.zeros((len(codes), 4), np.uint8)
    leading[:] = codes[:, :4]
    return (leading.view("<u4")[:, 0] & ((1 << WORD_BITS) - 1)).astype(np.int64)


def _probes(codes: NDArray[np.uint8], projected: FloatArray) -> NDArray[np.int64]:
    """(n, PROBES): each word, and it with its least certain bits turned (Lv et al. 2007)."""
    words = _words(codes)
    unsure = np.argsort(np.abs(projected[:, :WORD_BITS]), axis=1)[:, : PROBES - 1]
    return np.column_stack([words, *(words ^ (1 << column) for column in unsure.T)])


# --- likeness --------------------------------------------------------------------------------


def likeness(query: Keypoints, page: Keypoints) -> Likeness:
    """Whether the page shows the query's picture: moved, scaled, tilted a little, not mirrored.

    Points are matched by code where the best is clearly better than the second (Lowe's ratio); then
    the similarity transform is sought that most matches agree with (RANSAC, Fischler and Bolles
    1981). The score is 0 for as many as chance gives, and nears 1 from some forty.
    """
    seen, stored = _matched(query, page)
    inliers = _agreeing(seen, stored) if len(seen) >= _MIN_MATCHES else 0
    beyond_chance = max(0, inliers - _CHANCE_INLIERS)
    return Likeness(inliers, 1 - math.exp(-beyond_chance / _INLIERS_SCALE))


def _matched(query: Keypoints, page: Keypoints) -> tuple[FloatArray, FloatArray]:
    """Places (k, 3) of matching points, in the query and on the page."""
    if not len(query) or len(page) < 2:
        return query.places[:0], page.places[:0]
    seen, stored = (np.ascontiguousarray(one.codes).view(np.uint64) for one in (query, page))
    distances = np.bitwise_count(seen ^ stored.T)
    rows = np.arange(len(query))
    nearest = distances.argmin(axis=1)
    best = distances[rows, nearest].astype(np.float32)
    distances[rows, nearest] = CODE_BITS
    is_clear = best < _RATIO * distances.min(axis=1)
    return query.places[is_clear], page.places[nearest[is_clear]]


def _agreeing(seen: FloatArray, stored: FloatArray) -> int:
    """How many of the matched places (k, 3) one similarity transform explains, sizes too.

    As complex numbers: stored = turn * seen + shift; |turn| is the scale.
    """
    source, target = _complex(seen), _complex(stored)
    octaves = np.log2(stored[:, 2] / seen[:, 2])
    turns, shifts = _hypotheses(source, target, octaves)
    if not len(turns):
        return 0
    agreeing = _explained(turns, shifts, source, target, octaves)
    best = agreeing[agreeing.sum(axis=1).argmax()]
    turn, shift = _fitted(source[best], target[best])
    refined = _explained(turn[None], shift[None], source, target, octaves)[0]
    # Many points on one of the page's say no more than one.
    return max(len(np.unique(target[found])) for found in (best, refined))


def _hypotheses(
    source: _Complex, target: _Complex, octaves: FloatArray
) -> tuple[_Complex, _Complex]:
    """Transforms that two matches each propose: upright, and of the scale that their sizes say."""
    first, second = np.triu_indices(len(source), 1)
    if len(first) > _PAIRS:
        chosen = np.random.default_rng(0).choice(len(first), _PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    apart = np.abs(source[second] - source[first]) > _TOLERANCE
    first, second = first[apart], second[apart]
    turns = (target[second] - target[first]) / (source[second] - source[first])
    scales = np.log2(np.maximum(np.abs(turns), 1e-6))
    is_likely = (np.abs(np.angle(turns)) < _MAX_TILT) & (np.abs(scales) < _MAX_OCTAVES)
    for ends in (first, second):
        is_likely &= np.abs(octaves[ends] - scales) < _SIZE_OCTAVES
    turns, first = turns[is_likely][:_HYPOTHESES], first[is_likely][:_HYPOTHESES]
    return turns, target[first] - turns * source[first]


def _explained(
    turns: _Complex, shifts: _Complex, source: _Complex, target: _Complex, octaves: FloatArray
) -> NDArray[np.bool_]:
    """(transforms, matches): whether it brings the point where it is, at its size."""
    off = np.abs(turns[:, None] * source + shifts[:, None] - target)
    scales = np.log2(np.maximum(np.abs(turns), 1e-6))
    return np.asarray((off < _TOLERANCE) & (np.abs(octaves - scales[:, None]) < _SIZE_OCTAVES))


def _fitted(source: _Complex, target: _Complex) -> tuple[_Complex, _Complex]:
    """The transform of least squares."""
    middle, centre = source.mean(), target.mean()
    about = source - middle
    turn = np.vdot(about, target - centre) / max(np.vdot(about, about).real, 1e-6)
    return turn, centre - turn * middle


def _complex(places: FloatArray) -> _Complex:
    return (places[:, 0] + 1j * places[:, 1]).astype(np.complex64)
