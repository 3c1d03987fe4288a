"""Words for people: marks, reasons, numbers. And the policy on every answer."""

import pytest
from django.http import HttpRequest, HttpResponse

from searchapp.web import words
from searchapp.web.middleware import content_security_policy


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Wind turbines turn", "turbine", "Wind <mark>turbines</mark> turn"),
        ("Charging stations", "charge the station", "<mark>Charging</mark> <mark>stations</mark>"),
        ("a storm, a story", "storms", "a <mark>storm</mark>, a story"),
        ("a backlog, go back", "back", "a backlog, go <mark>back</mark>"),
        ("planned plans, a planet", "plan", "<mark>planned</mark> <mark>plans</mark>, a planet"),
        (
            "a story, stories, a store",
            "stories",
            "a <mark>story</mark>, <mark>stories</mark>, a store",
        ),
        ("cars, care", "car", "<mark>cars</mark>, care"),
        ("the end of it", "the of it", "the end of it"),
        ("a <b> & c", "zebra", "a &lt;b&gt; &amp; c"),
        ("&amp; x", "amp", "&amp;<mark>amp</mark>; x"),
        ("AB-1234 and AB", "ab-1234", "<mark>AB</mark>-<mark>1234</mark> and <mark>AB</mark>"),
        ("项目开源软件", "开源", "项目<mark>开源</mark>软件"),
        ("anything", "( [ *", "anything"),
    ],
)
def test_marks(text: str, query: str, shown: str) -> None:
    assert words.marked(text, query) == shown


def test_marks_of_a_query_without_end_are_bounded() -> None:
    pattern = words.query_pattern(" ".join(f"word{i}x" for i in range(5_000)))
    assert pattern is not None
    assert pattern.pattern.count("|") == 31
    assert words.query_pattern(" " * 20_000 + "late") is None


def test_durations() -> None:
    assert [words.duration(ms) for ms in (0.4, 87.2, 2440)] == ["0 ms", "87 ms", "2.4 s"]


@pytest.mark.parametrize(
    ("path", "is_loose"), [("/", False), ("/documents", False), ("/admin/", True)]
)
def test_policy(path: str, is_loose: bool) -> None:
    request = HttpRequest()
    request.path = path
    response = content_security_policy(lambda _: HttpResponse())(request)
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert ("unsafe-inline" in policy) == is_loose


def test_policy_of_a_view_stays() -> None:
    own = HttpResponse(headers={"Content-Security-Policy": "sandbox"})
    response = content_security_policy(lambda _: own)(HttpRequest())
    assert response["Content-Security-Policy"] == "sandbox"
