"""Django settings, all from `environment.SETTINGS`. Nothing heavy: every process reads it."""

import os
from pathlib import Path
from typing import Any

from searchapp.environment import PROJECT_DIR, data_dir_get, environment_read
from searchapp.services import addresses

ENV = environment_read()
BASE_DIR = PROJECT_DIR
DATA_DIR: Path = data_dir_get()
ADDRESSES = addresses.addresses_get(ENV, DATA_DIR)

SECRET_KEY: str = ADDRESSES.secret_key
DEBUG: bool = ENV["DEBUG"]
HOST: str = ENV["HOST"]
PORT: int = ENV["PORT"]
PUBLIC_URL: str = ENV["PUBLIC_URL"].rstrip("/")
ALLOWED_HOSTS: list[str] = ["127.0.0.1", "localhost", "[::1]", *ENV["ALLOWED_HOSTS"]]
if HOST not in {"0.0.0.0", "::", *ALLOWED_HOSTS}:  # noqa: S104
    ALLOWED_HOSTS.append(HOST)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
if PUBLIC_URL:
    ALLOWED_HOSTS.append(PUBLIC_URL.split("://")[-1].split("/")[0].rsplit(":", 1)[0])

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "ninja",
    "searchapp.apps.SearchappConfig",
]

MIDDLEWARE = [
    "searchapp.api.embed.EmbedApi",
    "searchapp.web.middleware.content_security_policy",
    "searchapp.web.middleware.method_problems",
    "searchapp.web.turns.Turns",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "searchapp.web.bodies.BodyLimits",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "searchapp.urls"
WSGI_APPLICATION = "searchapp.wsgi.application"
APPEND_SLASH = False

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# The pool hands out warm connections; SET LOCAL only, a plain SET would leak to the next request.
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **addresses.database_settings(ADDRESSES.database_url),
        # After a restart of Postgres the pool holds dead connections; no request may get one.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": ENV["DATABASE_POOL"], "timeout": 10},
            **addresses.database_options(ADDRESSES.database_url),
            "options": "-c statement_timeout=60000 -c idle_in_transaction_session_timeout=120000",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL: str = ADDRESSES.redis_url
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": addresses.redis_cache_url(REDIS_URL),
    }
}

CELERY_BROKER_URL = addresses.celery_broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Publishing must never hold a request back: the sweep wakes the queues when Redis was away.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    "visibility_timeout": 3600,
}
CELERY_TASK_DEFAULT_QUEUE = "render"
CELERY_TASK_ROUTES = {
    "searchapp.tasks.render_next": {"queue": "render"},
    "searchapp.tasks.read_next": {"queue": "render"},
    "searchapp.tasks.embed_next": {"queue": "embed"},
}
# In both queues: one worker may be busy for minutes, or stopped, while the other has work to find.
CELERY_BEAT_SCHEDULE = {
    f"sweep-{queue}": {
        "task": "searchapp.tasks.sweep",
        "schedule": float(ENV["SWEEP_SECONDS"]),
        "options": {"expires": float(ENV["SWEEP_SECONDS"]), "queue": queue},
    }
    for queue in ("render", "embed")
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat-schedule")

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "searchapp" / "static"]
# Static files are served straight from the source folders: nothing to collect, nothing to go stale.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 3600

_LOCAL = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"allow_overwrite": True},
}
_S3 = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": ENV["S3_BUCKET"],
        "endpoint_url": ENV["S3_ENDPOINT_URL"] or None,
        "region_name": ENV["S3_REGION"] or None,
        "file_overwrite": True,
    },
}
STORAGES = {
    "default": _S3 if ENV["STORAGE"] == "s3" else _LOCAL,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_TEMP_DIR = str(DATA_DIR / "tmp")
FILE_UPLOAD_HANDLERS = [
    "searchapp.web.bodies.KnownSendersOnly",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "searchapp.web.bodies.BoundedTemporaryFile",
]
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o640
# Bodies of 20 MiB are part of the Embed v2 contract; files stream past this limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 21 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 1000

LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "search"
LOGOUT_REDIRECT_URL = "sign-in"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
if SESSION_COOKIE_SECURE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENV["LOG_LEVEL"]},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # One line a task would bury what matters.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}

UNFOLD = {
    "SITE_TITLE": "Search admin",
    "SITE_HEADER": "Search admin",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "/static/searchapp/mark.svg"}
    ],
    "SIDEBAR": {"navigation": "searchapp.admin.site.navigation"},
}
SILENCED_SYSTEM_CHECKS: list[str] = []

# Workers: see jobs.py
WAKE_WORKERS = True
LEASE_SECONDS: int = ENV["LEASE_SECONDS"]
RENDER_PROCESSES: int = ENV["RENDER_PROCESSES"]
MAX_UPLOAD: int = ENV["MAX_UPLOAD"]
OCR: bool = ENV["OCR"]
OCR_THREADS: int = ENV["OCR_THREADS"]

# The engine: see engine.py
ENGINE_URL: str = ADDRESSES.engine_url
ENGINE_API_KEY: str = ENV["ENGINE_API_KEY"]
EMBEDDING_MODEL: str = ENV["EMBEDDING_MODEL"]
# Our children run in another folder, where a relative path would mean another one.
os.environ["EMBEDDING_MODEL"] = EMBEDDING_MODEL
EMBEDDING_REVISION: str = ENV["EMBEDDING_REVISION"]
EMBEDDING_DIMENSION: int = ENV["EMBEDDING_DIMENSION"]
EMBEDDING_DEVICE: str = ENV["EMBEDDING_DEVICE"]
EMBEDDING_DTYPE: str = ENV["EMBEDDING_DTYPE"]
EMBEDDING_PIXELS: int = ENV["EMBEDDING_PIXELS"]
EMBEDDING_BATCH_TOKENS: int = ENV["EMBEDDING_BATCH_TOKENS"]
EMBEDDING_URL: str = ENV["EMBEDDING_URL"]
EMBEDDING_API_KEY: str = ENV["EMBEDDING_API_KEY"]
EMBEDDING_INPROCESS: bool = ENV["EMBEDDING_INPROCESS"]

# The Embed API: see api/embed.py
EMBED_API_OPEN: bool = ENV["EMBED_API_OPEN"]
WEB_THREADS: int = ENV["WEB_THREADS"]

# Bounds of one render; rendering gets them as a frozen RenderLimits, never as settings
RENDER_LIMITS: dict[str, int] = {
    "max_pages": ENV["MAX_PAGES"],
    "page_pixels": ENV["PAGE_PIXELS"],
    "wall_seconds": ENV["RENDER_SECONDS"],
    "memory_bytes": ENV["RENDER_MEMORY"],
}
