"""Signing in, by password or by a one-time link, and out."""

from django.contrib.auth import login, logout
from django.contrib.auth.views import LoginView
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from searchapp import access
from searchapp.web.edge import signed_in


class SignIn(LoginView):
    """User name and password."""

    template_name = "sign-in.html"
    redirect_authenticated_user = True


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def signin_link(request: HttpRequest, secret: str) -> HttpResponseBase:
    """A one-time link. Only POST uses it up: previews of links in chats and mails send GET."""
    if request.user.is_authenticated:
        return redirect("search")
    if request.method != "POST":
        return render(request, "sign-in-link.html")
    user = access.signin_link_use(secret)
    if user is None:
        return render(request, "sign-in-link.html", {"is_used": True}, status=410)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("search")


@signed_in
@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """End the session."""
    logout(request)
    return redirect("sign-in")
