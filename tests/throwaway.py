"""Points the whole test run at a throw-away DATA_DIR. Importing it is enough, and must come before
Django reads its settings: `python -m pytest -p tests.throwaway` does that, as `make test` does."""

import atexit
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from searchapp.environment import SETTINGS

# False when the settings of a real DATA_DIR were read first; tests/conftest.py then refuses to run.
IS_IN_TIME = "searchapp.settings" not in sys.modules

DATA_DIR = Path(tempfile.mkdtemp(prefix="searchapp-test-"))
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
for _setting in SETTINGS:
    os.environ.pop(_setting.name, None)
os.environ.update(
    DATA_DIR=str(DATA_DIR),
    SECRET_KEY=secrets.token_urlsafe(50),
    EMBEDDING_INPROCESS="1",
    DJANGO_SETTINGS_MODULE="searchapp.settings",
)
