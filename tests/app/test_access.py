"""Rights: one visible set behind everything, keys and links that cannot be reused."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.test import Client
from django.utils import timezone

from searchapp import access, library
from searchapp.access import Actor
from searchapp.errors import Forbidden, InvalidInput, NotFound
from searchapp.models import ApiKey, Collection, Membership, SigninLink
from tests.app.conftest import People, ingested, pdf_make

pytestmark = pytest.mark.django_db


def test_three_people_see_what_they_may(people: People) -> None:
    ingested(people, pdf_make(), "a.pdf")
    seen = {
        name: access.visible_pages(Actor.from_user(getattr(people, name))).count()
        for name in ("alice", "bob", "charlie", "root")
    }
    assert seen == {"alice": 3, "bob": 3, "charlie": 0, "root": 3}
    assert access.visible_pages(Actor.from_user(AnonymousUser())).count() == 0


def test_everyone_visibility_and_groups_widen(people: People) -> None:
    group = Group.objects.create(name="team")
    people.charlie.groups.add(group)
    assert not access.visible_collections(Actor.from_user(people.charlie)).exists()
    Membership.objects.create(collection=people.collection, group=group, role="editor")
    charlie = Actor.from_user(people.charlie)
    assert access.writable_collection_get(charlie, "reports") == people.collection


def test_what_a_search_may_see_is_what_is_visible(people: People) -> None:
    group = Group.objects.create(name="team")
    people.charlie.groups.add(group)
    team = Collection.objects.create(name="Team", slug="team")
    Membership.objects.create(collection=team, group=group, role="viewer")
    Collection.objects.create(name="All", slug="all", visibility="everyone")
    actors = [Actor.from_user(getattr(people, n)) for n in ("alice", "bob", "charlie", "root")]
    bound = [replace(actor, collection_ids=frozenset({team.pk})) for actor in actors]
    none = [replace(actors[0], collection_ids=frozenset()), Actor.from_user(AnonymousUser())]
    found = {}
    for actor in (*actors, *bound, *none):
        visible = dict(access.visible_collections(actor).values_list("slug", "pk"))
        assert access.visible_collection_ids(actor) == visible
        found[actor] = set(visible)
    assert [found[actor] for actor in actors[:3]] == [
        {"reports", "all"},
        {"reports", "all"},
        {"team", "all"},
    ]
    assert [found[actor] for actor in bound] == [set(), set(), {"team"}, {"team"}]


def test_viewer_may_not_write_and_stranger_does_not_know(people: People) -> None:
    with pytest.raises(Forbidden):
        access.writable_collection_get(Actor.from_user(people.bob), "reports")
    with pytest.raises(InvalidInput) as caught:
        access.writable_collection_get(Actor.from_user(people.charlie), "reports")
    assert caught.value.code == "unknown_collection"


def test_foreign_document_is_not_found(people: People) -> None:
    document = ingested(people, pdf_make(), "a.pdf")
    with pytest.raises(NotFound):
        access.visible_document_get(Actor.from_user(people.charlie), document.pk)


def test_inactive_user_sees_nothing(people: People) -> None:
    people.alice.is_active = False
    people.alice.save()
    assert not access.visible_collections(Actor.from_user(people.alice)).exists()


def test_key_is_hashed_narrowed_and_expires(people: People) -> None:
    secret = access.apikey_create(name="ci", user=people.alice, scopes=("search",))
    key = ApiKey.objects.get(name="ci")
    assert secret not in {key.prefix, key.secret_hash}
    actor = access.apikey_actor(secret)
    assert actor is not None
    assert actor.user_id == people.alice.pk
    with pytest.raises(Forbidden):
        access.require_scope(actor, "upload")
    assert access.apikey_actor(secret + "x") is None
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert access.apikey_actor(secret) is None


def _bind(name: str, collection: Collection) -> None:
    key = ApiKey.objects.get(name=name)
    key.is_bound = True
    key.save()
    key.collections.add(collection)


def test_key_bound_to_a_collection_sees_only_that(people: People) -> None:
    library.collection_create(actor=Actor.from_user(people.alice), name="Other")
    secret = access.apikey_create(name="one", user=people.alice)
    _bind("one", people.collection)
    actor = access.apikey_actor(secret)
    assert actor is not None
    assert list(access.visible_collections(actor)) == [people.collection]


def test_key_whose_only_collection_is_deleted_sees_nothing_more(people: People) -> None:
    other = library.collection_create(actor=Actor.from_user(people.alice), name="Other")
    secret = access.apikey_create(name="one", user=people.alice)
    _bind("one", other)
    other.delete()
    actor = access.apikey_actor(secret)
    assert actor is not None
    assert not access.visible_collections(actor).exists()


def test_signin_link_works_once(people: People) -> None:
    secret = access.signin_link_create(user=people.alice).rsplit("/", 1)[-1]
    assert access.signin_link_use(secret) == people.alice
    assert access.signin_link_use(secret) is None
    assert access.signin_link_use("wrong") is None


def test_signin_link_expires(people: People) -> None:
    secret = access.signin_link_create(user=people.alice).rsplit("/", 1)[-1]
    SigninLink.objects.update(expires_at=timezone.now())
    assert access.signin_link_use(secret) is None


def test_first_admin_is_made_once_without_password(db: None) -> None:
    first = access.first_admin_get()
    assert first == access.first_admin_get()
    assert not first.has_usable_password()


def test_slug_is_unique_and_clean(people: People) -> None:
    alice = Actor.from_user(people.alice)
    for bad in ({"name": "x", "slug": "reports"}, {"name": "x", "slug": "No Slug"}, {"name": " "}):
        with pytest.raises(InvalidInput):
            library.collection_create(actor=alice, name=bad["name"], slug=bad.get("slug", ""))
    assert Collection.objects.count() == 1


def test_key_of_an_inactive_user_is_no_key(people: People) -> None:
    secret = access.apikey_create(name="ci", user=people.alice)
    assert access.apikey_actor(secret) is not None
    people.alice.is_active = False
    people.alice.save()
    assert access.apikey_actor(secret) is None
    response = Client(headers={"authorization": f"Bearer {secret}"}).get("/api/v1/collections")
    assert response.status_code == 401


def test_a_slug_made_from_the_name_is_always_free(people: People) -> None:
    charlie = Actor.from_user(people.charlie)  # does not know of alice's `reports`
    made = [library.collection_create(actor=charlie, name="Reports").slug for _ in range(2)]
    assert made == ["reports-2", "reports-3"]
    nameless = [library.collection_create(actor=charlie, name="資料") for _ in range(2)]
    nameless[0].delete()
    assert nameless[1].slug == "collection-2"
    assert library.collection_create(actor=charlie, name="資料").slug == "collection"
    assert library.collection_create(actor=charlie, name="x" * 200).slug == "x" * 90


def test_collections_are_listed_by_name(people: People) -> None:
    alice = Actor.from_user(people.alice)
    for name in ("Zebra", "Alpha", "Middle"):
        library.collection_create(actor=alice, name=name)
    listed = [row.name for row in library.collection_list(alice)]
    assert listed == ["Alpha", "Middle", "Reports", "Zebra"]
