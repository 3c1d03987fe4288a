"""Pictures that are asked with: few at a time, and words never wait for them."""

import threading

import pytest

from searchapp.access import SYSTEM
from searchapp.engine import ImagePart
from searchapp.errors import Unavailable
from searchapp.room import Room
from searchapp.search import turns
from searchapp.search.query import Query, text_query
from searchapp.search.search import search_pages
from tests.app.conftest import People, png_make


@pytest.mark.django_db
def test_searches_with_pictures_are_refused_when_there_are_too_many(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_here", Room(1))
    pictures = Query(parts=(ImagePart(png_make()),))
    with turns.picture_turn(pictures):
        with pytest.raises(Unavailable) as caught:
            search_pages(actor=SYSTEM, query=pictures)
        assert caught.value.code == "overloaded"
        assert search_pages(actor=SYSTEM, query=text_query("turbine")).hits == ()
    assert search_pages(actor=SYSTEM, query=pictures).hits == ()


def test_a_few_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_here", Room(2))
    monkeypatch.setattr(turns, "_at_work", Room(1))
    pictures = Query(parts=(ImagePart(b""),))
    came = threading.Event()

    def wait() -> None:
        with turns.picture_turn(pictures):
            came.set()

    with turns.picture_turn(pictures):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not came.wait(0.1)
    assert came.wait(10)
    waiting.join()
    monkeypatch.setattr(turns, "_WAIT_S", 0.05)
    with turns.picture_turn(pictures), pytest.raises(Unavailable), turns.picture_turn(pictures):
        pass
