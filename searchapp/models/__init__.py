"""Rows. Behaviour lives in the steps above; what may be read by whom in `access`."""

from searchapp.models.collections import Collection, Membership
from searchapp.models.documents import Document, Job, Page
from searchapp.models.indexes import Embedding, Index, PendingPage
from searchapp.models.judgements import JudgedQuery, Judgement
from searchapp.models.keys import ApiKey, SigninLink
from searchapp.models.measurements import Measurement
from searchapp.models.pictures import PageKeypoints
from searchapp.models.renewals import Renewal

__all__ = [
    "ApiKey",
    "Collection",
    "Document",
    "Embedding",
    "Index",
    "Job",
    "JudgedQuery",
    "Judgement",
    "Measurement",
    "Membership",
    "Page",
    "PageKeypoints",
    "PendingPage",
    "Renewal",
    "SigninLink",
]
