"""`manage.py apikey_create NAME`: a bearer key; the secret is the last word printed."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from searchapp import access
from searchapp.models import ApiKey
from searchapp.models.storable import is_storable


class Command(BaseCommand):
    """The key acts as a user of its own, api-NAME, unless --user names another."""

    help = "Create an API key. By default it may create collections, upload, search and embed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name, user, scopes."""
        parser.add_argument("name")
        parser.add_argument("--user", help="act as this user (default: a new user api-NAME)")
        parser.add_argument("--scope", action="append", choices=sorted(access.ALL_SCOPES))

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the secret once; it is stored hashed."""
        name = options["name"]
        longest = ApiKey._meta.get_field("name").max_length or 0
        if not name.strip() or not is_storable(name) or len(name) > longest:
            raise CommandError(f"Give a name of 1 to {longest} characters.")
        if not options["user"]:
            user = access.service_user_get(name)
        else:
            found = User.objects.filter(username=options["user"]).first()
            if found is None:
                raise CommandError(f"There is no user '{options['user']}'.")
            user = found
        scopes = tuple(options["scope"] or access.DEFAULT_KEY_SCOPES)
        secret = access.apikey_create(name=name, user=user, scopes=scopes)
        self.stdout.write(f"Key '{name}' of user {user}; it is shown only now: {secret}")
