"""The admin through its real URLs: every list and form opens; what changes something does so."""

import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from searchapp import access, engine, indexing, jobs, judging
from searchapp.admin.site import navigation
from searchapp.models import (
    ApiKey,
    Collection,
    Document,
    Embedding,
    Job,
    JudgedQuery,
    Measurement,
    Membership,
    Page,
)
from searchapp.models.literals import bits_literal, vector_literal
from tests.admin.conftest import document_make

pytestmark = pytest.mark.django_db


def url(model: str, view: str = "changelist", *args: object) -> str:
    app = "auth" if model in {"user", "group"} else "searchapp"
    return reverse(f"admin:{app}_{model}_{view}", args=args)


# --- who comes in ----------------------------------------------------------------------------


def all_urls() -> list[str]:
    models = sorted(model._meta.model_name or "" for model in django_admin.site._registry)
    return [reverse("admin:index"), *(url(model) for model in models)]


def test_strangers_are_sent_to_the_sign_in_page(client: Client) -> None:
    for address in all_urls():
        response = client.get(address, follow=True)
        assert response.redirect_chain[-1][0] == f"{reverse('sign-in')}?next={address}", address


@pytest.mark.parametrize("is_staff", [False, True])
def test_others_find_no_admin(client: Client, is_staff: bool) -> None:
    client.force_login(User.objects.create_user("bob", password="x", is_staff=is_staff))
    for address in all_urls():
        assert client.get(address, follow=True).status_code == 404, address


def test_every_list_and_form_opens(
    admin: Client, alice: User, document: Document, failed: Document
) -> None:
    index = indexing.index_ensure()
    group = Group.objects.create(name="Finance")
    access.apikey_create(name="robot", user=alice)
    rows = {
        "collection": document.collection_id,
        "document": document.pk,
        "page": document.pages.all()[0].pk,
        "job": Job.objects.get(document=failed).pk,
        "index": index.pk,
        "judgedquery": JudgedQuery.objects.create(text="budget").pk,
        "apikey": ApiKey.objects.get().pk,
        "user": alice.pk,
        "group": group.pk,
    }
    assert {m._meta.model_name for m in django_admin.site._registry} == set(rows)
    for model, pk in rows.items():
        assert admin.get(url(model)).status_code == 200, model
        assert admin.get(url(model), {"q": "x"}).status_code == 200, model
        assert admin.get(url(model, "change", pk)).status_code == 200, model


@pytest.mark.parametrize("model", ["document", "page", "job", "index"])
def test_what_workers_write_is_not_edited(admin: Client, document: Document, model: str) -> None:
    indexing.index_ensure()
    row = {"document": document, "page": document.pages.first(), "job": document.job}.get(model)
    assert admin.get(url(model, "add")).status_code == 403
    if row is not None:
        assert admin.post(url(model, "change", row.pk), {"title": "x"}).status_code == 403
        body = admin.get(url(model, "change", row.pk)).content.decode()
        assert 'name="_save"' not in body


# --- the dashboard ---------------------------------------------------------------------------


def cells(body: str, row: str) -> list[str]:
    """The texts of one table row of the dashboard."""
    found = re.search(rf'data-queue="{row}">(.*?)</tr>', body, re.S)
    assert found is not None
    texts = (re.sub(r"<[^>]*>", "", cell) for cell in found[1].split("</td>")[:-1])
    return [" ".join(text.split()) for text in texts]


def test_dashboard_counts(admin: Client, document: Document, failed: Document) -> None:
    page = document.pages.get(number=1)
    page.step, page.state = Page.Step.EMBED, Page.State.WAITING
    page.save()
    body = admin.get(reverse("admin:index")).content.decode()
    assert cells(body, "render")[1:4] == ["0", "0", "-"]
    assert cells(body, "embed")[1:3] == ["1", "0"]
    assert "minute" in cells(body, "embed")[3]
    ready = re.search(r'data-status="ready">(.*?)</a>', body, re.S)
    assert ready is not None and re.findall(r">\s*(\d+)\s*<", ready[1]) == ["1"]
    assert "The file is damaged. [damaged_file]" in body
    assert "2 documents, 2 pages" in body


def test_dashboard_shows_live_workers(admin: Client) -> None:
    cache.delete_many(["worker:render", "worker:embed"])
    body = admin.get(reverse("admin:index")).content.decode()
    assert [cells(body, name)[4] for name in ("render", "read", "embed")] == ["none"] * 3
    jobs.worker_announce(["render"])
    body = admin.get(reverse("admin:index")).content.decode()
    assert [cells(body, name)[4] for name in ("render", "read", "embed")] == [
        "alive",
        "alive",
        "none",
    ]
    cache.delete("worker:render")


def test_dashboard_retry_button(admin: Client, failed: Document, document: Document) -> None:
    address = reverse("admin:document-retry", args=[failed.pk])
    assert address in admin.get(reverse("admin:index")).content.decode()
    assert admin.get(address).status_code == 405
    assert admin.post(address).status_code == 302
    failed.refresh_from_db()
    assert (failed.status, failed.error_code) == (Document.Status.QUEUED, "")
    admin.post(reverse("admin:document-retry", args=[document.pk]))
    document.refresh_from_db()
    assert document.status == Document.Status.READY
    assert admin.post(reverse("admin:document-retry", args=[10**6])).status_code == 404


def test_a_document_leads_to_its_pages(admin: Client, document: Document) -> None:
    body = admin.get(url("document", "change", document.pk)).content.decode()
    link = re.search(r'href="([^"]*document__id__exact=\d+)"[^>]*>2 of 2<', body)
    assert link is not None
    pages = admin.get(link[1])
    assert pages.status_code == 200
    assert pages.content.decode().count(reverse("api:page_thumbnail", args=[1])[:14]) >= 2


# --- documents, jobs, collections ------------------------------------------------------------


def test_retry_actions_leave_the_others_alone(
    admin: Client, failed: Document, document: Document
) -> None:
    data = {"action": "retry_failed", "_selected_action": [failed.pk, document.pk]}
    body = admin.post(url("document"), data, follow=True).content.decode()
    assert "1 of 2 documents are tried again" in body
    assert Job.objects.get(document=failed).state == Job.State.QUEUED
    assert Job.objects.get(document=document).state == Job.State.DONE

    Job.objects.filter(document=failed).update(state=Job.State.FAILED)
    Document.objects.filter(pk=failed.pk).update(status=Document.Status.FAILED)
    job = Job.objects.get(document=failed)
    data = {"action": "retry_failed", "_selected_action": [job.pk]}
    assert "1 of 1" in admin.post(url("job"), data, follow=True).content.decode()
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED


def stored_files() -> list[Path]:
    return [path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def embed(document: Document) -> None:
    """A vector for each page, in the active index."""
    index = indexing.index_ensure()
    vector = np.full(index.dimension, 0.5, dtype=np.float32)
    with connection.cursor() as cursor:
        for page in document.pages.all():
            cursor.execute(
                "INSERT INTO searchapp_embedding (index_id, page_id, collection_id, lane, position,"
                " bits, vec) VALUES (%s, %s, %s, 'text', 0, %s::varbit, %s::halfvec)",
                [
                    index.pk,
                    page.pk,
                    document.collection_id,
                    bits_literal(vector),
                    vector_literal(vector),
                ],
            )


@pytest.mark.parametrize("way", ["one", "many", "collection", "collections"])
def test_deleting_takes_vectors_and_files(
    admin: Client,
    document: Document,
    way: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    embed(document)
    other = document_make(document.collection, "Other", pages=1)
    assert len(stored_files()) == 5
    assert Embedding.objects.count() == 2
    model = "collection" if way.startswith("collection") else "document"
    pks = {"document": [document.pk, other.pk], "collection": [document.collection_id]}[model]
    if way in {"one", "collection"}:
        for pk in pks:
            asked = admin.get(url(model, "delete", pk)).content.decode()
            assert "pictures, vectors and files" in asked
            with django_capture_on_commit_callbacks(execute=True):
                assert admin.post(url(model, "delete", pk), {"post": "yes"}).status_code == 302
    else:
        data = {"action": "delete_selected", "_selected_action": pks}
        asked = admin.post(url(model), data).content.decode()
        assert "with 3 pages" in asked
        with django_capture_on_commit_callbacks(execute=True):
            admin.post(url(model), {**data, "post": "yes"})
    assert not Document.objects.exists()
    assert not Page.objects.exists()
    assert not Embedding.objects.exists()
    assert stored_files() == []
    assert Collection.objects.exists() is (model == "document")


def test_a_new_collection_belongs_to_its_maker(admin: Client, alice: User) -> None:
    data = {"name": "Plans", "slug": "plans", "visibility": "private"}
    assert admin.post(url("collection", "add"), data).status_code == 302
    member = Membership.objects.get(collection__slug="plans")
    assert (member.user, member.role) == (alice, Membership.Role.OWNER)
    again = admin.post(url("collection", "add"), data)
    assert again.status_code == 200
    assert "already exists" in again.content.decode()


def members(*rows: dict[str, object], initial: int) -> dict[str, object]:
    """The form fields of the members' inline."""
    data: dict[str, object] = {
        "memberships-TOTAL_FORMS": len(rows),
        "memberships-INITIAL_FORMS": initial,
    }
    for number, row in enumerate(rows):
        data |= {f"memberships-{number}-{name}": value for name, value in row.items()}
    return data


def test_members_are_added_once(admin: Client, alice: User, collection: Collection) -> None:
    bob = User.objects.create_user("bob")
    owner = Membership.objects.get(collection=collection)
    first = {"id": owner.pk, "collection": collection.pk, "user": alice.pk, "role": "owner"}
    new = {"collection": collection.pk, "user": bob.pk, "group": "", "role": "viewer"}
    form = {"name": "Reports", "visibility": "everyone"}
    address = url("collection", "change", collection.pk)

    twice = admin.post(address, form | members(first, new, new, initial=1))
    assert "bob is a member already." in twice.content.decode()
    nobody = admin.post(
        address, form | members(first, {**new, "user": "", "role": "editor"}, initial=1)
    )
    assert nobody.status_code == 200
    assert Membership.objects.count() == 1

    assert admin.post(address, form | members(first, new, initial=1)).status_code == 302
    assert access.visible_collections(access.Actor.from_user(bob)).get() == collection
    collection.refresh_from_db()
    assert (collection.visibility, collection.slug) == ("everyone", "reports")


def test_lists_lead_to_the_upload_page(admin: Client, collection: Collection) -> None:
    assert (
        f"{reverse('upload')}?collection=reports" in admin.get(url("collection")).content.decode()
    )
    assert reverse("upload") in admin.get(reverse("admin:index")).content.decode()
    button = admin.get(reverse("admin:searchapp_document_upload"))
    assert button["Location"] == reverse("upload")


def test_index_list_counts_its_partition(admin: Client, document: Document) -> None:
    embed(document)
    response = admin.get(url("index"))
    body = response.content.decode()
    vectors = re.search(r"field-vectors[^>]*>\s*(?:<[^>]*>\s*)*([\d,]+)", body)
    assert vectors is not None and vectors[1] == "2"
    size = re.search(r"field-size[^>]*>\s*(?:<[^>]*>\s*)*([\d.]+)", body)
    assert size is not None and float(size[1]) > 0


def test_index_and_dashboard_tell_progress_and_recall(admin: Client, document: Document) -> None:
    index = indexing.index_ensure()
    assert "run `manage.py recall`" in html.unescape(admin.get(url("index")).content.decode())
    Measurement.objects.create(index=index, figures={"advice": "Ask with oversampling 8."})
    for address in (url("index"), url("index", "change", index.pk), reverse("admin:index")):
        assert "Ask with oversampling 8." in admin.get(address).content.decode(), address
    # Two searchable pages that were never embedded: the index lacks nothing that it waits for.
    body = admin.get(url("index")).content.decode()
    progress = re.search(r"field-progress[^>]*>\s*(?:<[^>]*>\s*)*(\d+ of \d+)", body)
    assert progress is not None and progress[1].endswith("of 2")


def test_judged_queries_are_read_and_removed(
    admin: Client,
    alice: User,
    document: Document,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "PNG")
    judging.judgement_set(
        actor=access.Actor.from_user(alice),
        parts=(engine.TextPart("the budget <b>"), engine.ImagePart(buffer.getvalue())),
        page_id=document.pages.get(number=1).pk,
        is_relevant=False,
    )
    row = JudgedQuery.objects.get()
    assert "the budget &lt;b&gt;" in admin.get(url("judgedquery")).content.decode()
    body = admin.get(url("judgedquery", "change", row.pk)).content.decode()
    for shown in ("data:image/jpeg;base64,", "does not answer", "Budget", "alice", "mixed"):
        assert shown in body, shown
    with django_capture_on_commit_callbacks(execute=True):
        admin.post(url("judgedquery", "delete", row.pk), {"post": "yes"})
    assert not JudgedQuery.objects.exists()
    assert not default_storage.exists(row.picture)


# --- keys and accounts -----------------------------------------------------------------------


def test_the_secret_of_a_key_is_shown_once(
    admin: Client, alice: User, collection: Collection
) -> None:
    data: dict[str, object] = {
        "name": "robot",
        "user": alice.pk,
        "scopes": ["search"],
        "collections": [collection.pk],
        "expires_at_0": "2100-01-01",
        "expires_at_1": "00:00:00",
    }
    refused = admin.post(url("apikey", "add"), data).content.decode()
    assert "Tick this, or choose no collections." in refused
    data["is_bound"] = "on"
    body = admin.post(url("apikey", "add"), data, follow=True).content.decode()
    secret = re.search(r"sk_[\w-]{40,}", body)
    assert secret is not None
    key = ApiKey.objects.get()
    actor = access.apikey_actor(secret[0])
    assert actor is not None
    assert actor.scopes == {"search"}
    assert actor.collection_ids == frozenset({collection.pk})
    assert key.expires_at is not None and key.expires_at.year == 2100
    for address in (url("apikey"), url("apikey", "change", key.pk)):
        body = admin.get(address).content.decode()
        assert key.prefix in body
        assert secret[0] not in body
        assert key.secret_hash not in body


def test_a_key_is_narrowed_later(admin: Client, alice: User) -> None:
    secret = access.apikey_create(name="robot", user=alice)
    key = ApiKey.objects.get()
    data = {"name": "robot 2", "scopes": ["embed"], "collections": []}
    assert admin.post(url("apikey", "change", key.pk), data).status_code == 302
    actor = access.apikey_actor(secret)
    assert actor is not None
    assert actor.scopes == {"embed"}
    assert ApiKey.objects.get().user == alice


def test_signin_links_let_in_once(admin: Client, client: Client) -> None:
    bob = User.objects.create_user("bob")
    data = {"action": "signin_link", "_selected_action": [bob.pk]}
    body = admin.post(url("user"), data, follow=True).content.decode()
    link = re.search(r"http://testserver(/sign-in/[\w-]+)", body)
    assert link is not None
    client.post(link[1])
    assert client.session["_auth_user_id"] == str(bob.pk)


def test_users_are_made_with_a_password(admin: Client, client: Client) -> None:
    data = {
        "username": "carol",
        "usable_password": "true",
        "password1": "a-long-enough-one",
        "password2": "a-long-enough-one",
    }
    assert admin.post(url("user", "add"), data).status_code == 302
    assert client.login(username="carol", password="a-long-enough-one")


def test_sidebar_links_open(
    admin: Client, alice: User, rf: RequestFactory, settings: Settings
) -> None:
    settings.UNFOLD = settings.UNFOLD | {
        "SIDEBAR": {"navigation": "searchapp.admin.site.navigation"}
    }
    body = admin.get(reverse("admin:index")).content.decode()
    request = rf.get("/admin/")
    request.user = alice
    links = [item["link"] for group in navigation(request) for item in group["items"]]
    assert reverse("admin:index") in links
    for link in links:
        assert f'href="{link}"' in body, link
        assert admin.get(link).status_code == 200, link
