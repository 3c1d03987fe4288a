"""What an upgrade leaves to do with the pages of before."""

from django.db import models


class Renewal(models.Model):
    """Pages with a key above `done`, up to `until`, are to be prepared anew (renewal.py).

    A migration of a version that prepares pages in another way leaves one, where there are pages;
    it is gone when all are done.
    """

    done = models.BigIntegerField(default=0)
    until = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"pages from {self.done} to {self.until}"
