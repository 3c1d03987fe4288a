"""judge: people's verdicts on hits, kept with the query that was asked. Searches nothing.

A query is kept by its words and its picture, without filters; the same question of two people is
one row with the verdicts of both. A picture is re-encoded in the sandbox, named by the sha256 of
what was sent, and goes with the query.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import MD5
from django.utils import timezone

from searchapp import access, engine, storage
from searchapp.access import Actor
from searchapp.errors import FileRejected, InvalidInput, RenderFailed, TooMany
from searchapp.models import JudgedQuery, Judgement, Page
from searchapp.models.storable import require_storable
from searchapp.rendering.sandbox import render
from searchapp.rendering.sniffing import sniff
from searchapp.rendering.types import RenderedPage, RenderLimits, RenderTask
from searchapp.search.asked import required_get
from searchapp.search.checks import query_check
from searchapp.search.query import Query

MAX_VERDICTS = 20_000
MAX_VERDICTS_A_MINUTE = 120
MAX_PICTURE = 20 * 1024 * 1024
MAX_KIND = 40
_PRUNED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Asked:
    """What tells one question from another. picture: name in storage, "" without one."""

    text: str
    picture: str
    content: bytes = b""


def judgement_set(
    *,
    actor: Actor,
    parts: Sequence[engine.Part],
    page_id: int,
    is_relevant: bool | None,
    kind: str = "",
) -> Judgement | None:
    """Say that a page answers a query, that it does not, or (None) take the verdict back.

    One verdict a person, query and page; the last one counts. Raises NotFound for pages that the
    actor may not see, InvalidInput (query, kind), Forbidden, TooMany.
    """
    access.require_scope(actor, "search")
    page = access.visible_page_get(actor, page_id)
    asked = _asked(parts)
    if len(kind) > MAX_KIND:
        raise InvalidInput("invalid_kind", f"At most {MAX_KIND} characters.", field="kind")
    require_storable(kind, "kind")
    if is_relevant is None:
        _take_back(actor, asked, page)
        return None
    _bounds_check(actor)
    _picture_store(asked)
    with transaction.atomic():
        query = _query_locked(actor, asked, kind)
        judgement, _ = _verdicts(actor).update_or_create(
            query=query,
            page=page,
            defaults={"is_relevant": is_relevant},
            create_defaults={"is_relevant": is_relevant, "user_id": actor.user_id},
        )
    return judgement


def verdicts_get(*, actor: Actor, parts: Sequence[engine.Part]) -> dict[int, bool]:
    """What the actor said of a query's pages, by page id; only pages that they may see."""
    access.require_scope(actor, "search")
    asked = _asked(parts)
    found = _verdicts(actor).filter(query__in=_same(asked), page__in=access.visible_pages(actor))
    return dict(found.order_by("page_id").values_list("page_id", "is_relevant"))


def query_parts(query: JudgedQuery) -> tuple[engine.Part, ...]:
    """What is to be asked again. Raises NotFound when the picture is gone from storage."""
    parts: list[engine.Part] = [engine.TextPart(query.text)] if query.text else []
    if query.picture:
        parts.append(engine.ImagePart(storage.file_read(query.picture)))
    return tuple(parts)


def query_kind(query: JudgedQuery) -> str:
    """The kind that was given, else what the query is made of: text, picture, mixed."""
    if query.kind:
        return query.kind
    if not query.picture:
        return "text"
    return "mixed" if query.text else "picture"


def judged_query_delete(query: JudgedQuery) -> None:
    """Remove a query with all its verdicts and its picture."""
    with transaction.atomic():
        JudgedQuery.objects.filter(pk=query.pk).delete()
        if query.picture:
            transaction.on_commit(lambda: _picture_delete(query.picture))


def judged_queries_prune() -> int:
    """Remove queries whose last verdict went with its page or its person; how many, at most 100."""
    with transaction.atomic():
        bare = JudgedQuery.objects.filter(judgements=None).values("pk")
        rows = JudgedQuery.objects.filter(pk__in=bare).select_for_update(skip_locked=True)
        # Whoever adds a verdict holds the query's lock: a second look, now that we hold it.
        gone = [row for row in rows[:_PRUNED_AT_ONCE] if not row.judgements.exists()]
        for row in gone:
            judged_query_delete(row)
    return len(gone)


def _asked(parts: Sequence[engine.Part]) -> _Asked:
    query = Query(parts=tuple(parts))
    query_check(query)
    required_get(query)  # what is stored can be asked again
    pictures = [part for part in parts if isinstance(part, engine.ImagePart)]
    if len(pictures) > 1:
        raise InvalidInput(
            "too_many_pictures", "A query with one picture at most can be judged.", field="query"
        )
    content = pictures[0].content if pictures else b""
    if len(content) > MAX_PICTURE:
        raise InvalidInput(
            "picture_too_large",
            f"The picture is larger than {MAX_PICTURE // 1024**2} MB; use a smaller one.",
            field="query",
        )
    return _Asked(query.text, _picture_name(content) if pictures else "", content)


def _picture_name(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"judged/{digest[:2]}/{digest}.jpg"


def _same(asked: _Asked) -> QuerySet[JudgedQuery]:
    """The row of that question, found by the digest that keeps it unique."""
    digest = hashlib.md5(asked.text.encode(), usedforsecurity=False).hexdigest()
    rows = JudgedQuery.objects.alias(digest=MD5("text")).filter(digest=digest)
    return rows.filter(text=asked.text, picture=asked.picture)


def _verdicts(actor: Actor) -> QuerySet[Judgement]:
    """Those of the actor's own; of nobody in particular, for the commands of this machine."""
    if actor.user_id is None:
        return Judgement.objects.filter(user=None)
    return Judgement.objects.filter(user_id=actor.user_id)


def _bounds_check(actor: Actor) -> None:
    """A person's verdicts are bounded; imports of this machine's commands are not."""
    if actor.user_id is None:
        return
    own = _verdicts(actor)
    if own.count() >= MAX_VERDICTS:
        raise InvalidInput(
            "too_many_judgements",
            f"You have {MAX_VERDICTS} verdicts, the most there may be; take some back.",
            field="is_relevant",
        )
    since = timezone.now() - timedelta(minutes=1)
    if own.filter(created_at__gt=since).count() >= MAX_VERDICTS_A_MINUTE:
        raise TooMany(
            "judging_too_fast", f"At most {MAX_VERDICTS_A_MINUTE} verdicts a minute; wait a little."
        )


def _query_locked(actor: Actor, asked: _Asked, kind: str) -> JudgedQuery:
    """The query's row, made when it is new, locked so that nobody removes it meanwhile."""
    while True:
        row, _ = _same(asked).get_or_create(
            text=asked.text,
            picture=asked.picture,
            defaults={"kind": kind, "created_by_id": actor.user_id},
        )
        locked = JudgedQuery.objects.select_for_update().filter(pk=row.pk).first()
        if locked is not None:
            return locked


@transaction.atomic
def _take_back(actor: Actor, asked: _Asked, page: Page) -> None:
    query = _same(asked).select_for_update().first()
    if query is None:
        return
    _verdicts(actor).filter(query=query, page=page).delete()
    if not query.judgements.exists():
        judged_query_delete(query)


# --- pictures --------------------------------------------------------------------------------


def _picture_store(asked: _Asked) -> None:
    """Keep the picture under its name. Raises InvalidInput for what is no picture, and the error
    of `storage.storage_error`."""
    if not asked.picture or default_storage.exists(asked.picture):
        return
    content = ContentFile(_re_encoded(asked.content))
    try:
        default_storage.save(asked.picture, content)
    except OSError as error:
        raise storage.storage_error(error) from error


def _picture_delete(name: str) -> None:
    if not JudgedQuery.objects.filter(picture=name).exists():
        default_storage.delete(name)


def _re_encoded(content: bytes) -> bytes:
    """A JPEG of a page's size, made in the sandbox from whatever people send."""
    try:
        with tempfile.TemporaryDirectory(dir=storage.temporary_dir(), prefix="judged-") as folder:
            source = Path(folder) / "picture"
            source.write_bytes(content)
            workdir = Path(folder) / "pages"
            workdir.mkdir()
            return _rendered(source, workdir)
    except (FileRejected, RenderFailed) as error:
        raise InvalidInput("invalid_image", error.message, field="query") from error


def _rendered(source: Path, workdir: Path) -> bytes:
    limits = RenderLimits(**settings.RENDER_LIMITS | {"max_pages": 1})
    file_type = sniff(source, limits=limits)
    if file_type.kind != "image":
        raise FileRejected("unsupported_type", f"{file_type.label} is no picture.")
    pages = render(RenderTask(source, file_type, workdir, limits))
    for page in pages:
        if isinstance(page, RenderedPage) and page.image is not None:
            return page.image.read_bytes()
    raise FileRejected("corrupt_file", "The picture cannot be read.")
