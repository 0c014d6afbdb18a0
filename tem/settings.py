"""All settings of TEM, in one file. The environment is read here, through `tem.environment`."""

import hashlib
import os

import environ

from tem import embedded, lines
from tem.environment import CHECKOUT, Environment, home_from, kept_secret

env = Environment(os.environ)
BASE_DIR = CHECKOUT

# --- Where things lie -------------------------------------------------------------------------
TEM_HOME = home_from(os.environ)
TEM_EXPORT_DIR = env.path("TEM_EXPORT_DIR", TEM_HOME / "exports")
TEM_ORG_FILE = env.path("TEM_ORG_FILE", BASE_DIR / "config" / "org.yaml")

# --- GitLab: needed by commands that collect, which call `environment.require_gitlab` ------------
GITLAB_URL = env.gitlab_url()
GITLAB_TOKEN = env.gitlab_token()

# --- How much, how far back -------------------------------------------------------------------
TEM_MAX_PARALLELISM = env.whole_number("TEM_MAX_PARALLELISM", min(8, os.cpu_count() or 1), low=1, high=64)
TEM_DEMO = env.text("TEM_DEMO") == "1"  # set by `make demo`: pages call the numbers invented
TEM_BACKFILL_DAYS = env.whole_number("TEM_BACKFILL_DAYS", 180, low=1, high=730)

# --- Time: stored in UTC; days are days of this zone, and only `tem.clock` knows it --------------
TIME_ZONE = "UTC"
USE_TZ = True
TEM_TIMEZONE = env.zone("TIMEZONE", "Europe/Amsterdam")

# --- Secrets: given, or made once and kept in TEM_HOME -----------------------------------------
SECRET_KEY = env.text("TEM_SECRET_KEY") or kept_secret(TEM_HOME, "secret_key")
TEM_EMAIL_HASH_KEY = env.text("TEM_EMAIL_HASH_KEY") or kept_secret(TEM_HOME, "email_hash_key")

# --- Webhooks: GitLab's hints, taken when one of these is set --------------------------------------
TEM_WEBHOOK_TOKEN = env.text("TEM_WEBHOOK_TOKEN")
TEM_WEBHOOK_SIGNING_KEY = env.signing_key("TEM_WEBHOOK_SIGNING_KEY")

# --- Alerts: where people are told; each address is a secret ----------------------------------------
TEM_NOTIFY_URLS = env.addresses("TEM_NOTIFY_URLS")
TEM_PUBLIC_URL = env.address("TEM_PUBLIC_URL", schemes=("http", "https"), example="https://tem.example.com")
TEM_RUNBOOKS_URL = env.address(
    "TEM_RUNBOOKS_URL", schemes=("http", "https"), example="https://wiki.example.com/tem/runbooks"
)

# --- Database and broker: given, or the embedded ones of TEM_HOME ------------------------------
_given_database = env.database()
_given_redis = env.redis()
_embedded = embedded.addresses(TEM_HOME) or embedded.NOT_RUNNING
DATABASES = {
    "default": {
        **environ.Env.db_url_config(_given_database or _embedded.db_url),
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,  # a connection kept over a database restart fails every later task
        "ATOMIC_REQUESTS": False,
    }
}
DATABASES["default"]["OPTIONS"] = {**lines.OURS, **DATABASES["default"].get("OPTIONS", {}), "pool": False}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEM_REDIS_URL = _given_redis or _embedded.redis_url
# Two installations on one Redis must not eat each other's messages.
TEM_REDIS_PREFIX = f"tem-{hashlib.sha256((_given_database or str(TEM_HOME)).encode()).hexdigest()[:8]}:"

# --- The web process: the process runner reads these two -----------------------------------------
TEM_WEB_HOST = env.text("TEM_WEB_HOST", "127.0.0.1")
TEM_WEB_PORT = env.whole_number("TEM_WEB_PORT", 0, low=0, high=65535)

# --- The application ---------------------------------------------------------------------------
INSTALLED_APPS = [
    "tem",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_celery_beat",
    "apps.orgmap",
    "apps.runs",
    "apps.collector",
    "apps.metrics",
    "apps.exports",
]
MIDDLEWARE = [
    "tem.requests_seen.RequestIds",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "tem.headers.SecurityHeaders",
    "tem.local_time.LocalTime",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "tem.urls"
WSGI_APPLICATION = "tem.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "/admin/login/"
LANGUAGE_CODE = "en-us"
USE_I18N = False
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
UNFOLD = {
    "SITE_TITLE": "TEM",
    "SITE_HEADER": "TEM",
    "SITE_SUBHEADER": "Toman Engineering Metrics",
    "SITE_URL": "/",
    "SITE_SYMBOL": "monitoring",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "/static/tem.svg"}],
    "COLORS": {"primary": "tem.admin.indigo"},
    "SIDEBAR": {"navigation": "tem.admin.navigation"},
}

# --- Static files: served by the web process itself, straight from the packages -----------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
WHITENOISE_USE_FINDERS = True

# --- What browsers are told ----------------------------------------------------------------------
ALLOWED_HOSTS = env.names("TEM_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

# --- Logs: JSON lines on stderr from web and workers, warnings in plain words from commands -------
LOG_FORMAT = env.text("TEM_LOG_FORMAT", "plain")
LOGGING_CONFIG = "tem.logs.configure"
LOGGING = {"format": LOG_FORMAT}

env.finish()
