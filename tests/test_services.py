from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pinstripe.errors import ConfigurationError
from pinstripe.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import ProjectFolder


@pytest.fixture
def services(project_folder: ProjectFolder) -> Callable[..., Services]:
    """Give services with these sources."""
    sys.path.insert(0, str(project_folder.path))

    def make(**sources: str) -> Services:
        for name, source in sources.items():
            project_folder.service(name, source)
        return Services(project_folder.path / "lib" / "services", "lib.services")

    return make


def test_names_import_nothing(services: Callable[..., Services], project_folder: ProjectFolder) -> None:
    found = services(mailer="raise RuntimeError", archive="", _shared="")
    project_folder.file("lib/services/notes.txt", "")
    assert found.names() == ["archive", "mailer"]


def test_a_folder_that_does_not_exist(services: Callable[..., Services]) -> None:
    found = services()
    assert found.names() == []
    assert found.problems() == []


@pytest.mark.parametrize(
    "source",
    [
        "def it(): ...",
        "async def it(): ...",
        "def it():\n    yield",
        "async def it():\n    yield",
        "made = 1\nit = lambda: made",
    ],
)
def test_a_service_is_the_function_named_as_its_file(services: Callable[..., Services], source: str) -> None:
    found = services(it=source).find("it")
    assert callable(found.function)
    assert (found.name, found.parameters, found.scope) == ("it", (), "workspace")
    assert found.path.name == "it.py"


def test_it_is_imported_once(services: Callable[..., Services]) -> None:
    found = services(it="def it(): ...")
    assert found.find("it") is found.find("it")


def test_parameters(services: Callable[..., Services]) -> None:
    source = "def it(mailer, tenant=None, retries=3, *, logger, workspace): ..."
    found = services(it=source, mailer="def mailer(): ...").find("it")
    assert found.parameters == ("mailer", "tenant", "logger", "workspace")


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("", None, "expected a function it(…), named as its file, that makes the service; found nothing of that name"),
        ("\nit = 3", 1, "expected a function it(…), named as its file, that makes the service; found an int"),
        ("class it: ...", 1, "expected a function it(…), named as its file, that makes the service; found a type"),
        ("def it(*args): ...", 1, "it takes '*args'; expected parameters that are each the name of a service"),
        ("def it(**kwargs): ...", 1, "it takes '**kwargs'; expected parameters"),
        ("def it(tenant, /): ...", 1, "it takes 'tenant'; expected parameters"),
        ("a = 1\nscope = 'app'\ndef it(): ...", 2, "scope: expected 'project' or 'workspace' (the default), got 'app'"),
        ("scope = []\ndef it(): ...", 1, "scope: expected 'project' or 'workspace' (the default), got []"),
        (
            "from contextlib import contextmanager\n@contextmanager\ndef it():\n    yield",
            3,
            "a decorator hides that it yields; take it away, since no @contextmanager is needed here",
        ),
        ("a = 1\nimport not_installed", 2, "ModuleNotFoundError: No module named 'not_installed'"),
        ("def it(:", 1, "SyntaxError: "),
    ],
)
def test_a_file_that_breaks_a_rule(
    services: Callable[..., Services], source: str, line: int | None, reason: str
) -> None:
    found = services(it=source)
    with pytest.raises(ConfigurationError) as caught:
        found.find("it")
    assert caught.value.reason.startswith(reason)
    assert caught.value.path is not None
    assert caught.value.path.name == "it.py"
    assert caught.value.line == line
    mended = "def it(): ...\n# of another size, since by size and second Python knows what it has compiled"
    assert services(it=mended).find("it").name == "it"


def test_a_service_that_does_not_exist(services: Callable[..., Services]) -> None:
    found = services(mailer="")
    with pytest.raises(
        ConfigurationError, match=r"there is no service 'mailr'; did you mean mailer\? Or make it in .*mailr\.py"
    ):
        found.find("mailr")
    with pytest.raises(ConfigurationError, match=r"there is no service 'xyz'; make it in .*xyz\.py"):
        found.find("xyz")


def test_a_name_that_is_built_in(services: Callable[..., Services]) -> None:
    with pytest.raises(ConfigurationError, match="the name 'tenant' is taken: every workspace has a tenant"):
        services(tenant="def tenant(): ...").find("tenant")


def test_a_name_that_is_not_pythons(services: Callable[..., Services]) -> None:
    with pytest.raises(ConfigurationError, match=r"my-mailer\.py can't be imported.*rename it to my_mailer"):
        services(**{"my-mailer": ""}).find("my-mailer")


# Order


def test_each_comes_after_what_it_needs(services: Callable[..., Services]) -> None:
    found = services(
        a="def a(c, tenant): ...",
        b="def b(): ...",
        c="def c(d, b): ...",
        d="def d(logger): ...",
        e="raise RuntimeError",
    )
    assert [each.name for each in found.order(["a", "b"])] == ["d", "b", "c", "a"]
    assert [each.name for each in found.order(["b", "a", "b"])] == ["b", "d", "c", "a"]
    assert found.order([]) == []


def test_a_circle(services: Callable[..., Services]) -> None:
    found = services(a="def a(b): ...", b="\ndef b(c): ...", c="# it\ndef c(b): ...", me="def me(me): ...")
    with pytest.raises(ConfigurationError, match="the service waits on itself: b -> c -> b; take one of") as caught:
        found.order(["a"])
    assert caught.value.path is not None
    assert (caught.value.path.name, caught.value.line) == ("c.py", 2)
    with pytest.raises(ConfigurationError, match="the service waits on itself: me -> me;"):
        found.order(["me"])


def test_a_parameter_that_is_no_service(services: Callable[..., Services]) -> None:
    found = services(a="def a(b): ...", b="def b(mailr): ...", mailer="def mailer(): ...")
    with pytest.raises(
        ConfigurationError, match="a -> b -> mailr: there is no service 'mailr'; did you mean mailer"
    ) as caught:
        found.order(["a"])
    assert caught.value.path is not None
    assert caught.value.path.name == "b.py"


@pytest.mark.parametrize("needed", ["tenant", "logger", "workspace", "mine"])
def test_what_is_the_projects_needs_nothing_of_a_workspace(services: Callable[..., Services], needed: str) -> None:
    found = services(a="def a(pool): ...", pool=f"scope = 'project'\ndef pool({needed}): ...", mine="def mine(): ...")
    with pytest.raises(
        ConfigurationError, match=f"a -> pool -> {needed}: a service with scope = 'project' is made once"
    ):
        found.order(["a"])
    with pytest.raises(ConfigurationError, match="made once for all workspaces"):
        found.order(["mine", "pool"])


def test_what_is_the_projects_may_need_what_is_so_too(services: Callable[..., Services]) -> None:
    found = services(
        a="def a(pool): ...", pool="scope = 'project'\ndef pool(key): ...", key="scope = 'project'\ndef key(): ..."
    )
    assert [(each.name, each.scope) for each in found.order(["a"])] == [
        ("key", "project"),
        ("pool", "project"),
        ("a", "workspace"),
    ]


def test_problems(services: Callable[..., Services], project_folder: ProjectFolder) -> None:
    found = services(fine="def fine(): ...", a="def a(a): ...", b="1 / 0")
    folder = project_folder.path / "lib" / "services"
    assert [(each.name, each.path, each.line) for each in found.problems()] == [
        ("a", folder / "a.py", 1),
        ("b", folder / "b.py", 1),
    ]
    assert found.problems()[1].reason == "ZeroDivisionError: division by zero"
