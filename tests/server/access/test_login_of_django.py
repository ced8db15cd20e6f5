"""The function that the documentation gives for Django, in a process that has a Django with users and sessions."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.code_blocks import ROOT, read_blocks

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, sys

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="tests",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import SESSION_KEY, login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.http import HttpRequest

call_command("migrate", verbosity=0)


def log_in(name, **rights):
    user, _ = User.objects.get_or_create(username=name, defaults=rights)
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user)
    request.session.save()
    return request.session.session_key, user


admin, _ = log_in("ada", is_staff=True, is_superuser=True)
staff, bob = log_in("bob", is_staff=True)
customer, _ = log_in("eve")
gone, mallory = log_in("mallory", is_staff=True)
mallory.is_active = False
mallory.save()
changed, zoe = log_in("zoe", is_staff=True)
zoe.set_password("another")
zoe.save()

from login import who
from starlette.requests import Request


def ask(key):
    found = who(Request({"type": "http", "headers": [(b"cookie", f"sessionid={key}".encode())]}))
    return None if found is None else [found.name, found.role]


keys = {"admin": admin, "staff": staff, "customer": customer, "gone": gone, "changed": changed}
keys |= {"none": "", "other": "x" * 32}
print(json.dumps({name: ask(key) for name, key in keys.items()}))
"""


def test_it_knows_whom_django_knows(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "put-it-behind-your-own-login.md"
    (source,) = [block.text for block in read_blocks(page) if "from django." in block.text]
    (tmp_path / "login.py").write_text(source, encoding="utf-8")
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "db.sqlite")]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "admin": ["ada", "operate"],
        "staff": ["bob", "read"],
        "customer": None,
        "gone": None,
        "changed": None,
        "none": None,
        "other": None,
    }
