"""embed and store: pages to units, units to vectors, vectors to the partition of their index."""

from searchapp.indexing.building import (
    Progress,
    build_next,
    finish_beside,
    index_finish,
    index_progress,
    is_work_left,
)
from searchapp.indexing.embedding import embed_next
from searchapp.indexing.indexes import (
    IndexLine,
    index_activate,
    index_build,
    index_create,
    index_drop,
    index_ensure,
    index_get,
    index_list,
    index_resume,
    index_retire,
    lacking,
    space_get,
)
from searchapp.indexing.pending import pending_take_back
from searchapp.indexing.units import Unit, page_units

__all__ = [
    "IndexLine",
    "Progress",
    "Unit",
    "build_next",
    "embed_next",
    "finish_beside",
    "index_activate",
    "index_build",
    "index_create",
    "index_drop",
    "index_ensure",
    "index_finish",
    "index_get",
    "index_list",
    "index_progress",
    "index_resume",
    "index_retire",
    "is_work_left",
    "lacking",
    "page_units",
    "pending_take_back",
    "space_get",
]
