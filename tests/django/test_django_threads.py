"""What asks Django's database for a tenant from elsewhere than its job's thread: refused, or on its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.django.test_django_tenants import CANARIES, READ

if TYPE_CHECKING:
    from tests.django.conftest import DjangoProject

ASYNC = """
class Asking(BackgroundJob):
    def run(self) -> None:
        found = {expression}
        raise AssertionError(f"it found {{found}} for {{self.tenant.id}}")

    async def in_another_thread(self):
        return await asyncio.to_thread(self.count)

    async def texts(self):
        return [note.text async for note in Note.objects.all()]

    @staticmethod
    def count():
        return [note.text for note in Note.objects.all()]
"""


ELSEWHERE = [
    "asyncio.run(Note.objects.acount())",
    "asyncio.run(self.texts())",
    "asyncio.run(Note.objects.acreate(text='foreign'))",
    "asyncio.run(self.in_another_thread())",
    "asyncio.run(sync_to_async(self.count, thread_sensitive=False)())",
    "self.wait(Note.objects.acount())",
    "self.wait(Note.objects.acreate(text='foreign'))",
    "self.wait(self.in_another_thread())",
    "self.wait(sync_to_async(self.count)())",
]


def test_what_runs_in_another_thread_is_refused(django_project: DjangoProject) -> None:
    for number, expression in enumerate(ELSEWHERE):
        django_project.job(f"asking_{number}", ASYNC.format(expression=expression))
    django_project.job("read_notes", READ)
    told = django_project.program(f"""
        from shop.models import Note
        before = [note.text async for note in Note.objects.all()]  # opens the connection of the thread for async code
        wrong = [await failures(project, f"asking_{{number}}") for number in range({len(ELSEWHERE)})]
        after = [note.text async for note in Note.objects.all()]
        others = await failures(project, "read_notes")
        from asgiref.sync import sync_to_async
        from django.db import connections
        await sync_to_async(connections.close_all)()
        return {{"before": before, "after": after, "others": others, "wrong": wrong}}
    """)
    assert len(told["wrong"]) == len(ELSEWHERE)
    for expression, reasons in zip(ELSEWHERE, told["wrong"], strict=True):
        assert len(reasons) == 2, expression
        for reason in reasons:
            assert reason.startswith("IsolationError: the job of tenant"), (expression, reason)
            assert "from another thread than its own" in reason
    assert told["before"] == told["after"] == CANARIES["public"]
    assert told["others"] == []


def test_sync_orm_on_an_event_loop_in_the_thread_is_refused_even_where_django_allows_it(
    django_project: DjangoProject,
) -> None:
    django_project.job("asking", ASYNC.format(expression="asyncio.run(self.at_once())") + AT_ONCE)
    django_project.environment["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    [reason] = django_project.program('return await failures(project, "asking", tenants=["ta"])')
    assert "from another thread than its own" in reason


AT_ONCE = """
    async def at_once(self):
        try:
            return self.count()
        finally:
            connections.close_all()
"""


def test_async_to_sync_comes_back_to_the_thread_and_sees_its_tenant(django_project: DjangoProject) -> None:
    django_project.job(
        "asking",
        """
        class Asking(BackgroundJob):
            def run(self) -> None:
                for _ in range(2):
                    assert async_to_sync(self.texts)() == [f"canary of {self.tenant.id}"]

            async def texts(self):
                return [note.text async for note in Note.objects.all()]
        """,
    )
    assert django_project.program('return await failures(project, "asking")') == []


def test_a_service_of_a_tenant_cannot_use_django(django_project: DjangoProject) -> None:
    django_project.folder.service(
        "counter",
        """
        class Counter:
            found = 0

        async def counter() -> Counter:
            from shop.models import Note
            Counter.found = await Note.objects.acount()
            return Counter()
        """,
    )
    django_project.job(
        "counting",
        """
        from lib.services.counter import Counter

        class Counting(BackgroundJob):
            counter: Counter

            def run(self) -> None:
                raise AssertionError(self.counter.found)
        """,
    )
    told = django_project.program("""
        return await failures(project, "counting", tenants=["ta"])
    """)
    assert "IsolationError: something asked Django's database for tenant 'ta' outside of its job's thread" in told[0]


def test_an_async_def_is_refused_before_anything_is_recorded(django_project: DjangoProject) -> None:
    path = django_project.folder.job(
        "asynchronous",
        """
        from pinstripe import BackgroundJob

        class Asynchronous(BackgroundJob):
            async def run(self) -> None:
                raise AssertionError
        """,
    )
    told = django_project.program("""
        from pathlib import Path

        from pinstripe.checks import look
        problems = [f"{problem.where}: {problem.reason}" for problem in await look(Path.cwd())]
        from pinstripe.runs import Request
        try:
            await project.preview(Request("asynchronous"))
        except pinstripe.PinstripeError as error:
            failure = told(error)
        return [failure, Path(".pinstripe/ledger.db").exists(), problems]
    """)
    reason = (
        "asynchronous: run is an async def, and the tenant context pinstripe.django_tenants:tenant_context belongs to "
        "a thread: it would not be seen from the event loop; make run a plain def"
    )
    [[failure], recorded, problems] = told
    assert not recorded
    assert failure == f"InvalidJob: {path}, line 4: {reason}"
    assert problems == [f"{path}:4: {reason}"]


def test_a_workspace_of_a_tenant_is_for_plain_projects_only(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ)
    told = django_project.program("""
        try:
            async with project.workspace(tenant="ta"):
                pass
        except pinstripe.PinstripeError as error:
            reason = told(error)
        def plain():
            with pinstripe.open_project(".") as project, project.workspace(tenant="ta") as workspace:
                return workspace.run_background_job("read_notes").executions.succeeded
        return [reason, await asyncio.to_thread(plain)]
    """)
    [[reason], succeeded] = told
    assert "workspace(tenant=None).options(tenants=['ta'])" in reason
    assert succeeded == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('setup = "shop.boot:setup"', "", "let the setting `setup` name a function"),
        ("django_tenants.postgresql_backend", "django.db.backends.postgresql", "expected ENGINE ="),
    ],
)
def test_a_django_that_is_not_set_up_for_it_is_told(
    django_project: DjangoProject, old: str, new: str, expected: str
) -> None:
    django_project.folder.file("shop/tenancy.py", "def tenants():\n    return ['ta', 'tb']\n")
    pyproject = django_project.folder.path / "pyproject.toml"
    text = pyproject.read_text().replace("shop.models:Client", "shop.tenancy:tenants")
    pyproject.write_text(text.replace(old, new))
    environment = django_project.environment
    environment["SHOP_DATABASE"] = environment["SHOP_DATABASE"].replace(old, new)
    django_project.folder.job(
        "plain",
        """
        from pinstripe import BackgroundJob

        class Plain(BackgroundJob):
            def run(self) -> None:
                raise AssertionError
        """,
    )
    [reason] = django_project.program('return await failures(project, "plain")')
    assert reason.startswith(
        "ConfigurationError: setting tenants.context = 'pinstripe.django_tenants:tenant_context': "
    )
    assert expected in reason


def test_a_bare_thread_is_on_the_public_schema_and_never_on_another_tenant_s(django_project: DjangoProject) -> None:
    django_project.job(
        "threading_itself",
        """
        from concurrent.futures import ThreadPoolExecutor

        POOL = ThreadPoolExecutor(1)

        class ThreadingItself(BackgroundJob):
            def run(self) -> None:
                found = POOL.submit(self.texts).result()  # a pool's thread has nothing of what started it
                assert found == ["canary of public"], found

            @staticmethod
            def texts():
                try:
                    return [note.text for note in Note.objects.all()]
                finally:
                    connections.close_all()
        """,
    )
    django_project.job("read_notes", READ)
    told = django_project.program("""
        wrong = []
        for _ in range(5):
            wrong += await failures(project, "threading_itself") + await failures(project, "read_notes")
        return wrong
    """)
    assert told == []
