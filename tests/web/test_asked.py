"""Questions in URLs: whatever can be asked can be shared, and comes back as it was asked."""

from datetime import date

import pytest
from django.http import QueryDict
from hypothesis import given, settings
from hypothesis import strategies as some

from searchapp.errors import InvalidInput
from searchapp.languages import LANGUAGES
from searchapp.models import Document
from searchapp.search.query import MAX_LIMIT, Exclusions, Filters
from searchapp.web.asked import Asked, PagePart, asked_from_parameters, similar_to

WORDS = some.text(some.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=9)
IDS = some.integers(0, 10**17)
NUMBERS = some.integers(1, 2**31 - 1)


def few(values: some.SearchStrategy) -> some.SearchStrategy:
    """None to three different values, as a tuple."""
    return some.lists(values, max_size=3, unique=True).map(tuple)


def ordered(values: some.SearchStrategy) -> some.SearchStrategy:
    """Two bounds, each possibly absent, the first not above the second."""
    pairs = some.tuples(some.none() | values, some.none() | values)
    return pairs.map(lambda pair: pair if None in pair else tuple(sorted(pair)))


CHOICES = {
    "collections": few(WORDS),
    "documents": few(IDS),
    "types": few(some.sampled_from(Document.Kind.values)),
    "tags": few(WORDS),
    "languages": few(some.sampled_from(sorted(LANGUAGES))),
}
KEYS = WORDS.map(lambda word: word.replace(":", "").strip()).filter(bool)
VALUES = WORDS.map(str.strip).filter(bool)
# Signs alone are no question.
TEXTS = (
    some.text(some.sampled_from("aä 漢&=#+%?\"'<-"), max_size=20)
    .map(str.strip)
    .filter(lambda text: not text or any(map(str.isalnum, text)))
)


@some.composite
def questions(draw: some.DrawFn) -> Asked:
    """Anything that a URL can say."""
    days, pages = draw(ordered(some.dates())), draw(ordered(NUMBERS))
    chosen = {name: draw(values) for name, values in CHOICES.items()}
    others = {name: draw(values) for name, values in CHOICES.items()}
    # What is wanted and left out at once cannot be asked.
    left_out = {name: tuple(v for v in others[name] if v not in chosen[name]) for name in CHOICES}
    filters = Filters(
        **chosen,
        uploaded_from=days[0],
        uploaded_to=days[1],
        page_from=pages[0],
        page_to=pages[1],
        metadata=draw(some.dictionaries(KEYS, few(VALUES).filter(bool), max_size=3)),
        without=Exclusions(**left_out),
    )
    examples = draw(some.lists(IDS, max_size=4, unique=True))
    x0, x1 = draw(some.tuples(some.integers(0, 499), some.integers(500, 1000)))
    return Asked(
        text=draw(TEXTS),
        filters=filters,
        view=draw(some.sampled_from(["documents", "pages"])),
        limit=draw(some.integers(1, MAX_LIMIT)),
        sort=draw(some.sampled_from(["relevance", "newest", "document"])),
        weight=draw(some.none() | some.integers(0, 100)),
        like=tuple(examples[:2]),
        unlike=tuple(examples[2:]),
        part=draw(some.none() | some.builds(PagePart, IDS, some.just((x0, 0, x1, 1000)))),
        picture_key=draw(some.sampled_from(["", "k3y"])),
    )


@settings(max_examples=150, deadline=None)
@given(questions())
def test_a_shared_question_is_the_same_question(asked: Asked) -> None:
    assert asked_from_parameters(QueryDict(asked.to_querystring())) == asked


def test_nothing_needs_no_parameters() -> None:
    assert Asked().to_querystring() == ""
    assert asked_from_parameters(QueryDict("")) == Asked()


@pytest.mark.parametrize(
    ("parameters", "code", "field"),
    [
        ("q=x&sort=best", "unknown_sort", "sort"),
        ("q=x&weight=101", "invalid_weight", "weight"),
        ("q=x&weight=-1", "invalid_weight", "weight"),
        ("q=x&weight=nan", "invalid_weight", "weight"),
        ("like=x", "unknown_page", "like"),
        ("like=1&unlike=1", "like_and_unlike", "unlike"),
        ("&".join(f"like={n}" for n in range(30)), "too_many_values", "like"),
        ("uploaded_from=yesterday", "invalid_date", "uploaded_from"),
        ("uploaded_to=2026-02-30", "invalid_date", "uploaded_to"),
        (
            "uploaded_from=2026-02-02&uploaded_to=2026-02-01",
            "impossible_range",
            "filters.uploaded_to",
        ),
        ("page_from=0", "invalid_page_from", "filters.page_from"),
        ("page_from=9&page_to=3", "impossible_range", "filters.page_to"),
        ("page_to=1e3", "invalid_page_to", "page_to"),
        ("metadata=nothing", "invalid_metadata", "filters.metadata"),
        ("language=klingon", "unknown_language", "filters.languages"),
        ("without_type=film", "unknown_type", "filters.without.types"),
        ("part=1,2,3", "invalid_part", "part"),
        ("part=1,500,0,400,1000", "invalid_part", "part"),
        ("part=1,0,0,1001,1000", "invalid_part", "part"),
        ("part=x,0,0,10,10", "invalid_part", "part"),
    ],
)
def test_what_no_question_can_say(parameters: str, code: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked_from_parameters(QueryDict(parameters))
    assert (refused.value.code, refused.value.field) == (code, field)


def test_similar_keeps_where_to_look_and_forgets_what_was_asked() -> None:
    filters = Filters(types=("pdf",), uploaded_from=date(2026, 1, 2))
    asked = Asked(text="x", filters=filters, like=(1,), view="pages", weight=3)
    assert similar_to(7, asked) == Asked(filters=filters, view="pages", like=(7,))


def test_marks_leave_out_what_is_excluded() -> None:
    assert Asked(text='storm -battery "wind farm"').marking == "storm wind farm"
    assert Asked().marking == ""


def test_the_weight_counts_only_beside_words() -> None:
    assert Asked(text="x", weight=30).to_query().image_weight is None
