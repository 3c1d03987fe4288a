"""Thumbs up and down on a hit: a verdict about a page and the question it was found by."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST

from searchapp.access import Actor
from searchapp.errors import InvalidInput
from searchapp.judging import judgement_set
from searchapp.web.asked import asked_from_parameters, picture_from, with_part
from searchapp.web.edge import signed_in

_VERDICTS = {"yes": True, "no": False, "none": None}


@signed_in
@require_POST
def judge(request: HttpRequest, page_id: int) -> HttpResponseBase:
    """The question is in the URL's parameters, its picture and `verdict` in the body."""
    actor = Actor.from_user(request.user)
    word = request.POST.get("verdict", "")
    if word not in _VERDICTS:
        sentence = "verdict is yes, no, or none."
        raise InvalidInput("invalid_verdict", sentence, field="verdict")
    asked = with_part(actor, asked_from_parameters(request.GET, picture_from(request)))
    judgement_set(
        actor=actor,
        parts=asked.to_query().parts,
        page_id=page_id,
        is_relevant=_VERDICTS[word],
    )
    context = {"asked": asked, "page_id": page_id, "verdict": _VERDICTS[word]}
    return render(request, "search/thumbs.html", context)
