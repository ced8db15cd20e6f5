from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError
from pinstripe.server.application import load_application

if TYPE_CHECKING:
    from tests.conftest import ProjectFolder


@pytest.fixture
def folder(project_folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    monkeypatch.syspath_prepend(project_folder.path)
    return project_folder


def refusal(target: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        load_application(target)
    assert "setting `app`" in str(refused.value)
    return refused.value


def test_an_asgi_application_is_given_as_it_is(folder: ProjectFolder) -> None:
    folder.file("shop/web.py", "class site:\n    async def app(scope, receive, send): ...\n")
    folder.file("shop/__init__.py", "")
    assert load_application("shop.web:site.app").__qualname__ == "site.app"


def test_what_is_wrong_in_its_file_is_told_by_the_line(folder: ProjectFolder) -> None:
    path = folder.file("web.py", "import json\n\nclass App(:\n")
    refused = refusal("web:app")
    assert (refused.path, refused.line) == (path, 3)
    assert str(refused) == f"{path}, line 3: setting `app`: SyntaxError: invalid syntax"
    folder.file("web.py", "import json\njson.loads('no')\n")
    assert refusal("web:app").line == 2
    folder.file("web.py", "raise SystemExit(1)\n")
    assert "SystemExit: 1" in str(refusal("web:app"))


def test_what_is_wrong_in_a_file_that_it_imports_is_told(folder: ProjectFolder) -> None:
    folder.file("shop/__init__.py", "import nothing_like_that\n")
    folder.file("shop/web.py", "")
    assert "No module named 'nothing_like_that'" in str(refusal("shop.web:app"))


def test_a_module_or_attribute_that_is_not_there_is_told(folder: ProjectFolder) -> None:
    folder.file("web.py", "application = 1\n")
    assert "No module named 'nowhere'" in str(refusal("nowhere:app"))
    assert "web has no attribute 'applcation'; the nearest is application" in str(refusal("web:applcation"))


def test_what_is_no_application_is_told(folder: ProjectFolder) -> None:
    folder.file("web.py", "def create_app(): ...\n")
    assert str(refusal("web:create_app")) == (
        "setting `app`: expected web:create_app to be an ASGI or a WSGI application, got create_app, which is called "
        "without arguments: call it in the module, `app = create_app()`"
    )
