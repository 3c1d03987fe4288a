"""Vectors from texts and images. Knows nothing of Django, Celery or the app."""
