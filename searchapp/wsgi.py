"""The WSGI application, for granian or any other server. Loads no model."""

import os
import warnings

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
# Static files are served from the source folders; a collected copy is for web servers in front.
warnings.filterwarnings("ignore", message="No directory at")
application = get_wsgi_application()

from searchapp.search.stages.background import background_start  # noqa: E402  (needs the apps)

background_start()
