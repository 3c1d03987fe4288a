"""A query taken apart: words without their syntax, what they require, pictures and what is on them.

Knows the engine and no rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from searchapp import engine
from searchapp.engine import FloatArray, VectorSpace
from searchapp.search.examples import unit
from searchapp.search.query import Query
from searchapp.search.syntax import Wording, wording


@dataclass(frozen=True, slots=True)
class Asked:
    """What the stages look for.

    required: phrases and exclusions. parts: in order, texts plain, and pictures read where the
    model does not see; blank ones left out. words: the parts that were typed, pictures: the others.
    """

    required: Wording
    parts: tuple[engine.Part, ...]
    words: tuple[engine.Part, ...]
    pictures: tuple[engine.Part, ...]


def required_get(query: Query) -> Wording:
    """What the typed words require. Raises InvalidInput (field query) as `wording`."""
    is_all = not query.like and all(isinstance(part, engine.TextPart) for part in query.parts)
    return wording(query.text, is_all=is_all)


def asked_get(query: Query, required: Wording, space: VectorSpace) -> Asked:
    """The query's parts, made plain and read. Raises as `engine.read_pictures`."""
    plain = [_plain(part) for part in query.parts]
    read = engine.read_pictures(plain, space.spec)
    told = [
        (part, isinstance(given, engine.ImagePart))
        for part, given in zip(read, query.parts, strict=True)
        if isinstance(part, engine.ImagePart) or part.text.strip()
    ]
    return Asked(
        required,
        parts=tuple(part for part, _ in told),
        words=tuple(part for part, is_picture in told if not is_picture),
        pictures=tuple(part for part, is_picture in told if is_picture),
    )


def pictures_asked(query: Query) -> list[bytes]:
    """The pictures that pages may show; none when they have no weight."""
    parts = () if query.image_weight == 0 else query.parts
    return [part.content for part in parts if isinstance(part, engine.ImagePart)]


def _plain(part: engine.Part) -> engine.Part:
    if isinstance(part, engine.ImagePart):
        return part
    return engine.TextPart(wording(part.text, is_all=False).plain)


def asked_vector(asked: Asked, weight: float | None, space: VectorSpace) -> FloatArray | None:
    """The query as one unit vector (D,); None when it has neither words nor anything on pictures.

    weight: the pictures' share: both are embedded apart and mixed. Raises as `engine.embed_query`.
    """
    if not asked.parts:
        return None
    if weight is None or not (asked.words and asked.pictures):
        return engine.embed_query(asked.parts, space=space)
    words = engine.embed_query(asked.words, space=space)
    pictures = engine.embed_query(asked.pictures, space=space)
    return unit((1 - weight) * words + weight * pictures)


def words_weighted(asked: Asked, weight: float | None) -> list[tuple[str, float]]:
    """The words to look up, and what they weigh: typed, and read on the pictures, in one when there
    is no weight to tell them apart; none of weight 0."""
    if weight is None or not (asked.words and asked.pictures):
        return [(_text(asked.parts), 1.0)]
    both = ((_text(asked.words), 1 - weight), (_text(asked.pictures), weight))
    return [(text, share) for text, share in both if share > 0]


def _text(parts: Sequence[engine.Part]) -> str:
    return " ".join(part.text for part in parts if part.text)
