"""The admin at /admin/: registrations, by area. Django loads this package once the apps are ready.

Only superusers come in (see `site`). What changes something calls the steps; nothing is done here a
second way.
"""

from searchapp.admin import accounts, collections, documents, indexes, judgements, keys, pages, site

__all__ = [
    "accounts",
    "collections",
    "documents",
    "indexes",
    "judgements",
    "keys",
    "pages",
    "site",
]
