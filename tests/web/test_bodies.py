"""Bodies that are refused before they reach the disk, and disks that take nothing more."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from searchapp import access
from searchapp.models import Document
from searchapp.web import bodies
from tests.app.conftest import People, pdf_make

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}
MB = 1024 * 1024


class Unread(BytesIO):
    """A body that says how much of it was read."""


def post(client: Client, path: str, size: int, **extra: Any) -> tuple[Any, int]:
    """The answer to a multipart body of `size` bytes, and how many of them were read."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    body = Unread(head + bytes(size - len(head) - 9) + b"\r\n--b--\r\n")
    sent: dict[str, Any] = {"wsgi.input": body, "CONTENT_LENGTH": str(size)} | extra
    form = "multipart/form-data; boundary=b"
    response = client.generic("POST", path, content_type=form, **sent)
    return response, body.tell()


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [
        ("/api/v1/documents", {}, "application/problem+json"),
        ("/upload", {"HTTP_ACCEPT": "application/json"}, "application/json"),
        ("/upload", {}, "text/html; charset=utf-8"),
    ],
)
def test_what_is_declared_too_large_is_not_read(
    people: People,
    alice: Client,
    settings: Settings,
    path: str,
    headers: dict[str, str],
    kind: str,
) -> None:
    settings.MAX_UPLOAD = MB
    response, read = post(alice, path, 2 * MB + 1, **headers)
    assert (response.status_code, response["Content-Type"], read) == (413, kind, 0)
    assert b"file_too_large" in response.content
    assert "Content-Security-Policy" in response


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/documents", 401), ("/upload", 302), ("/sign-in", 302)]
)
def test_strangers_send_little(db: None, path: str, status: int) -> None:
    response, read = post(Client(), path, MB + 1)
    assert (response.status_code, read) == (status, 0)


@pytest.mark.parametrize("path", ["/upload", "/sign-in", "/api/v1/documents"])
@pytest.mark.parametrize("disguise", ["HTTP_COOKIE", "HTTP_AUTHORIZATION"])
def test_files_of_unknown_senders_are_not_written(
    db: None, monkeypatch: pytest.MonkeyPatch, path: str, disguise: str
) -> None:
    written: list[int] = []
    receive = bodies.BoundedTemporaryFile.receive_data_chunk

    def counted(self: Any, raw: bytes, start: int) -> None:
        written.append(len(raw))
        receive(self, raw, start)

    monkeypatch.setattr(bodies.BoundedTemporaryFile, "receive_data_chunk", counted)
    value = {"HTTP_COOKIE": "sessionid=invented", "HTTP_AUTHORIZATION": "Bearer invented"}
    response, read = post(Client(), path, 4 * MB, **{disguise: value[disguise]})
    assert response.status_code < 500
    assert read < MB
    assert written == []


def test_a_body_without_length_or_with_a_wrong_one(alice: Client) -> None:
    chunked, _ = post(alice, "/upload", MB, CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
    assert chunked.status_code == 411
    for wrong in ("-1", "x", "1e3"):
        response, read = post(alice, "/api/v1/documents", MB, CONTENT_LENGTH=wrong)
        assert (response.status_code, response.json()["code"], read) == (400, "bad_request", 0)


def test_a_file_just_over_the_limit_is_refused_by_either_door(
    people: People, alice: Client, settings: Settings
) -> None:
    settings.MAX_UPLOAD = 3 * MB
    secret = access.apikey_create(name="test", user=people.alice)
    content = pdf_make() + bytes(3 * MB)
    for client, path in (
        (alice, "/upload"),
        (Client(headers={"authorization": f"Bearer {secret}"}), "/api/v1/documents"),
    ):
        body = {"file": SimpleUploadedFile("a.pdf", content), "collection": "reports"}
        response = client.post(path, body, headers=JSON)
        assert (response.status_code, response.json()["code"]) == (413, "file_too_large")
    assert not Document.objects.exists()


@pytest.mark.parametrize("setting", ["FILE_UPLOAD_TEMP_DIR", "DATA_DIR"])
def test_a_disk_that_takes_nothing_is_said_by_either_door(
    people: People, alice: Client, settings: Settings, tmp_path: Path, setting: str
) -> None:
    broken = tmp_path / "file"
    broken.write_text("a file where a folder should be")
    setattr(settings, setting, str(broken))
    secret = access.apikey_create(name="test", user=people.alice)
    content = pdf_make() + bytes(3 * MB)
    for client, path in (
        (alice, "/upload"),
        (Client(headers={"authorization": f"Bearer {secret}"}), "/api/v1/documents"),
    ):
        body = {"file": SimpleUploadedFile("a.pdf", content), "collection": "reports"}
        response = client.post(path, body, headers=JSON)
        assert (response.status_code, response.json()["code"]) == (507, "storage_failed")
    assert not Document.objects.exists()
