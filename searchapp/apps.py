"""The Django app: start-up checks are registered here, nothing else happens on import."""

from django.apps import AppConfig


class SearchappConfig(AppConfig):
    """searchapp as Django sees it."""

    name = "searchapp"
    verbose_name = "Search"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the Celery app, so that tasks sent from anywhere use our broker; register checks."""
        from searchapp import celery, checks  # noqa: F401
