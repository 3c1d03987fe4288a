"""embed and store: pages to units, units to vectors, vectors to the partition of their index."""

from searchapp.indexing.embedding import embed_next
from searchapp.indexing.indexes import index_create, index_ensure, index_rebuild
from searchapp.indexing.units import Unit, page_units

__all__ = ["Unit", "embed_next", "index_create", "index_ensure", "index_rebuild", "page_units"]
