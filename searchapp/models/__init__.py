"""Rows. Behaviour lives in the steps above; what may be read by whom in `access`."""

from searchapp.models.collections import Collection, Membership
from searchapp.models.documents import Document, Job, Page
from searchapp.models.indexes import Embedding, Index
from searchapp.models.judgements import JudgedQuery, Judgement
from searchapp.models.keys import ApiKey, SigninLink

__all__ = [
    "ApiKey",
    "Collection",
    "Document",
    "Embedding",
    "Index",
    "Job",
    "JudgedQuery",
    "Judgement",
    "Membership",
    "Page",
    "SigninLink",
]
