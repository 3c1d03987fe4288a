"""Signing in by password and by one-time link, and out."""

import pytest
from django.test import Client

from searchapp import access
from tests.app.conftest import People

pytestmark = pytest.mark.django_db


def test_password(people: People, client: Client) -> None:
    people.alice.set_password("a long secret")
    people.alice.save()
    wrong = client.post("/sign-in", {"username": "alice", "password": "guess"})
    assert b"do not match" in wrong.content
    right = {"username": "alice", "password": "a long secret", "next": "/documents"}
    assert client.post("/sign-in", right)["Location"] == "/documents"
    assert client.get("/documents").status_code == 200


def test_no_redirect_to_other_hosts(people: People, client: Client) -> None:
    people.alice.set_password("a long secret")
    people.alice.save()
    form = {"username": "alice", "password": "a long secret", "next": "https://evil.example/"}
    assert client.post("/sign-in", form)["Location"] == "/"


def test_link_works_once_and_only_by_post(people: People, client: Client) -> None:
    link = access.signin_link_create(user=people.bob)
    preview = client.get(link)
    assert preview.status_code == 200
    assert "no-store" in preview["Cache-Control"]
    assert client.get("/").status_code == 302
    assert client.post(link)["Location"] == "/"
    assert b"bob" in client.get("/").content

    other = Client()
    used = other.post(link)
    assert used.status_code == 410
    assert b"no longer works" in used.content
    assert other.get("/").status_code == 302


def test_unknown_link(client: Client) -> None:
    assert client.post("/sign-in/never-made").status_code == 410


def test_link_is_kept_when_already_signed_in(people: People) -> None:
    link = access.signin_link_create(user=people.bob)
    assert people.client("alice").post(link)["Location"] == "/"
    assert access.signin_link_use(link.rsplit("/", 1)[-1]) == people.bob


def test_sign_out(alice: Client) -> None:
    assert alice.post("/sign-out")["Location"] == "/sign-in"
    assert alice.get("/").status_code == 302
