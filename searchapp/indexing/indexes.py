"""Indexes: made with their partition, switched, dropped. Embeds nothing itself but a trial query.

Which index is active is told by its row and nowhere else. A switch waits for the pages that are
being stored just then, and those that are embedded later see it (embedding.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from searchapp import engine, jobs
from searchapp.errors import InvalidInput, NotFound, Unavailable
from searchapp.indexing.building import Progress, index_progress
from searchapp.indexing.hnsw import hnsw_create
from searchapp.indexing.partitions import partition_create, partition_drop
from searchapp.indexing.pending import pending_fill, pending_forget, pending_retry
from searchapp.models import Index
from searchapp.models.indexes import index_active

logger = logging.getLogger(__name__)

# Longer than a search that began before the switch may take: it still asks the old partition.
_SETTLED_SECONDS = 60
_WARM_UP_WORDS = (1, 8, 24)


def index_ensure() -> Index:
    """The active index; made for the configured model on the first start.

    Raises, then only, Unavailable while the engine, which has to be asked for some models, is away
    or loads; InvalidInput when the model has no vectors of the configured dimension.
    """
    if not Index.objects.filter(state=Index.State.ACTIVE).exists():
        space = space_get(engine.configured(), None)
        index_create(space, state=Index.State.ACTIVE)
    return index_active()


def space_get(
    source: engine.ModelSource, dimension: int | None, *, wait_s: float = 0
) -> engine.VectorSpace:
    """What vectors of that model are like; `dimension` None: as configured, else the model's own.

    Waits so long for the engine to load it. Raises InvalidInput `dimension_not_offered`,
    Unavailable.
    """
    spec = engine.spec_wait(source, wait_s)
    is_configured = source == engine.configured()
    wanted = dimension or (engine.dimension() if is_configured else spec.dimension)
    if wanted not in spec.dimensions:
        allowed = ", ".join(map(str, spec.dimensions))
        raise InvalidInput(
            "dimension_not_offered",
            f"{spec.name} has no vectors of {wanted} dimensions, but of {allowed}. "
            "Choose one of them (EMBEDDING_DIMENSION, --dimension), or none for its own.",
            field="dimension",
        )
    return engine.VectorSpace(source, spec, wanted)


def index_create(space: engine.VectorSpace, *, state: str = Index.State.BUILDING) -> Index:
    """A new index with its partition, and a row of work for each page that is searchable.

    HNSW is made at once when there is nothing to load, else after it (building.py). Raises
    Unavailable `index_in_use`; what was cut off `index_build` takes up.
    """
    index = _index_add(space)
    _index_start(index, state)
    return index


@transaction.atomic
def _index_add(space: engine.VectorSpace) -> Index:
    # Pages that are being stored come first; those after us see the new index.
    active = Index.objects.filter(state=Index.State.ACTIVE)
    list(active.select_for_update(no_key=True))
    source = space.source
    return Index.objects.create(
        model=space.spec.name,
        revision=space.spec.revision,
        dimension=space.dimension,
        source=source.model,
        source_revision=source.revision,
        url=source.url,
        description=engine.described(space.spec),
        state=Index.State.STARTING,
    )


def _index_start(index: Index, state: str) -> None:
    """Its partition and its rows of work, again where it was cut off: only then it is `state`.

    Of the tables that others use it locks none while it goes through the pages.
    """
    partition_create(index)
    with transaction.atomic():
        row = Index.objects.select_for_update(no_key=True).get(pk=index.pk)
        if row.state == Index.State.STARTING:
            if not pending_fill(row):
                hnsw_create(row)
            row.state = state
            row.activated_at = timezone.now() if state == Index.State.ACTIVE else None
            row.save(update_fields=["state", "activated_at"])
    index.refresh_from_db(fields=["state", "activated_at"])


def index_build(space: engine.VectorSpace, *, is_new: bool = False) -> Index:
    """The index of that model and dimension, building: a new one, or the one that was begun.

    One that was retired and kept is caught up. `is_new`: another one in any case, after an upgrade
    that cuts pages in another way. Raises InvalidInput `index_active` when only the active one is.
    """
    same = Index.objects.filter(
        model=space.spec.name, revision=space.spec.revision, dimension=space.dimension
    )
    found = same.exclude(state=Index.State.ACTIVE).order_by("state", "-pk").first()
    if is_new or not same.exists():
        found = index_create(space)
    elif found is None:
        raise InvalidInput(
            "index_active",
            f"{space.spec.identity} {space.dimension} is the active index: there is nothing to "
            "build. After an upgrade that cuts pages in another way: --again.",
        )
    index_resume(found)
    return found


def index_resume(index: Index) -> None:
    """Have the workers embed what it lacks, failed pages included.

    Raises Unavailable `index_in_use` when its partition cannot be made now."""
    if index.state == Index.State.STARTING:
        _index_start(index, Index.State.BUILDING)
    Index.objects.filter(pk=index.pk, state=Index.State.RETIRED).update(state=Index.State.BUILDING)
    index.refresh_from_db(fields=["state"])
    pending_retry(index)
    jobs.enqueue("embed")


def index_get(number: int) -> Index:
    """Raises NotFound."""
    index = Index.objects.filter(pk=number).first()
    if index is None:
        raise NotFound("not_found", f"There is no index {number}; see `manage.py index list`.")
    return index


def index_activate(
    index: Index, *, is_forced: bool = False, prepare: Callable[[Index], None] | None = None
) -> None:
    """Make it the active one in one transaction; the one before is kept, retired.

    Its model has answered queries before, and prepare has made what searches want at once. Raises
    InvalidInput `index_incomplete` while pages or HNSW are missing (`is_forced`: only for HNSW;
    what lacks is embedded afterwards), `index_active`; Unavailable when its model does not answer.
    """
    _completeness_check(index, is_forced=is_forced)
    _warm_up(index.space)
    if prepare:
        prepare(index)
    with transaction.atomic():
        # Pages that are being stored in the old one come first: they are rows of work by then.
        rows = list(Index.objects.select_for_update(no_key=True).order_by("pk"))
        _completeness_check(index, is_forced=is_forced)
        now = timezone.now()
        active = [row.pk for row in rows if row.state == Index.State.ACTIVE]
        Index.objects.filter(pk__in=active).update(state=Index.State.RETIRED, retired_at=now)
        Index.objects.filter(pk=index.pk).update(
            state=Index.State.ACTIVE, activated_at=now, retired_at=None
        )
        jobs.enqueue("embed")
    index.refresh_from_db()
    try:
        engine.default_set(index.space.source)
    except Unavailable as error:
        # Searches name their model; an engine that is started anew reads the row.
        logger.warning("the Embed API's general names mean the old model yet: %s", error)


def _completeness_check(index: Index, *, is_forced: bool) -> None:
    index.refresh_from_db(fields=["state"])
    if index.state == Index.State.ACTIVE:
        raise InvalidInput("index_active", f"{index} is the active index already.")
    progress = index_progress(index)
    if progress.has_hnsw and (is_forced or not progress.missing):
        return
    raise InvalidInput("index_incomplete", f"{index} is not complete: {lacking(progress)}")


def lacking(progress: Progress) -> str:
    """What an index lacks, in words."""
    words = f"{progress.missing:,} of {progress.pages:,} pages are missing"
    if progress.failed:
        words += f", {progress.failed:,} of them failed ({progress.error})"
    if not progress.has_hnsw:
        words += "; its HNSW index is not made yet" if progress.missing else ""
        words = words if progress.missing else "its HNSW index is not made yet"
    return words + "."


def _warm_up(space: engine.VectorSpace) -> None:
    """Queries of a few lengths, so that the first ones after the switch are not slow ones."""
    for words in _WARM_UP_WORDS:
        engine.embed_query([engine.TextPart(" ".join(["warm"] * words))], space=space)


def index_retire(index: Index) -> None:
    """Stop a build, keeping what it has. Raises InvalidInput `index_active`, `index_incomplete`."""
    _active_refuse(index)
    if index.state == Index.State.STARTING:
        raise InvalidInput("index_incomplete", f"{index} has nothing to keep: build or drop it.")
    Index.objects.filter(pk=index.pk, state=Index.State.BUILDING).update(
        state=Index.State.RETIRED, retired_at=timezone.now()
    )
    index.refresh_from_db()


def index_drop(index: Index) -> None:
    """Drop its partition and its row. Raises InvalidInput `index_active`, Unavailable
    `index_in_use` shortly after the switch, when searches that began before may still ask it, and
    while something reads the vectors for long."""
    _active_refuse(index)
    if index.retired_at is not None and index.activated_at is not None:
        left = _SETTLED_SECONDS - (timezone.now() - index.retired_at).total_seconds()
        if left > 0:
            raise Unavailable(
                "index_in_use", f"Searches may still ask {index}; try again in {left:.0f} s."
            )
    with transaction.atomic():
        row = Index.objects.select_for_update(no_key=True).get(pk=index.pk)
        _active_refuse(row)
        # As one that was only begun: nobody works on it, and no row is locked that others wait
        # for with the table in hand. Killed here, it can be dropped or built again.
        Index.objects.filter(pk=index.pk).update(state=Index.State.STARTING)
        pending_forget(row)
    partition_drop(index)
    Index.objects.filter(pk=index.pk).delete()


def _active_refuse(index: Index) -> None:
    if index.state == Index.State.ACTIVE:
        raise InvalidInput("index_active", f"{index} is the active index: activate another first.")


@dataclass(frozen=True, slots=True)
class IndexLine:
    """An index and how far it is."""

    index: Index
    progress: Progress


def index_list() -> Sequence[IndexLine]:
    """All indexes, oldest first."""
    return [IndexLine(index, index_progress(index)) for index in Index.objects.order_by("pk")]
