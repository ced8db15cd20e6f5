"""Multi-tenant jobs on Django with django-tenants, on a real PostgreSQL, in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.django.conftest import DjangoProject
    from tests.postgres import Postgres

CANARIES = {name: [f"canary of {name}"] for name in ("public", "ta", "tb")}

READ = """
class ReadNotes(BackgroundJob):
    def run(self) -> None:
        texts = {note.text for note in Note.objects.all()}
        Note.objects.create(text=f"mark of {self.tenant.id}")
        foreign = [text for text in texts if not text.endswith(f" of {self.tenant.id}")]
        if foreign or not texts or connection.schema_name != self.tenant.id:
            raise AssertionError(f"{self.tenant.id} sees {foreign} in {connection.schema_name}")
"""

KEEP = """
KEPT = []

class Keep(BackgroundJob):
    abstract = True

    def keep(self) -> None:
        list(Note.objects.all())
        KEPT.append(connections["default"])

class {name}(Keep):
    def run(self) -> None:
        self.keep()
        {body}
"""

STATE = """
from lib.background_jobs.{name} import KEPT
state = [(each.schema_name, each.connection is None, each.tenant.schema_name) for each in KEPT]
return {{"wrong": wrong, "state": state, "notes": await in_thread(notes)}}
"""


def kept(project: DjangoProject, name: str, body: str) -> Any:
    """Run a job for `ta` that keeps Django's connection; tell what went wrong, and how the connection was left."""
    project.job(name, KEEP.format(name=name.title().replace("_", ""), body=body))
    return project.program(f'wrong = await failures(project, "{name}", tenants=["ta"])' + STATE.format(name=name))


def test_jobs_of_two_tenants_at_once_and_in_turns_see_their_own_rows_only(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ)
    told = django_project.program("""
        wrong = []
        for turn in range(30):
            wrong += await failures(project, "read_notes", tenants=[("ta", "tb")[turn % 2]])
        for _ in range(10):
            wrong += await failures(project, "read_notes")
        return {"wrong": wrong, "notes": {name: len(texts) for name, texts in (await in_thread(notes)).items()}}
    """)
    assert told == {"wrong": [], "notes": {"ta": 26, "tb": 26, "public": 1}}


def test_a_job_leaves_its_connection_public_and_closed(django_project: DjangoProject) -> None:
    told = kept(django_project, "keeping", "Note.objects.create(text='new')")
    assert told["wrong"] == []
    assert told["state"] == [["public", True, "public"]]  # although CONN_MAX_AGE would keep it
    assert told["notes"]["ta"] == ["canary of ta", "new"]


def test_a_job_that_raises_leaves_it_so_too(django_project: DjangoProject) -> None:
    told = kept(django_project, "raising", "raise ValueError('lost')")
    assert told == {"wrong": ["ValueError: lost"], "state": [["public", True, "public"]], "notes": CANARIES}


def test_a_job_that_changes_the_schema_fails_and_leaves_it_public(django_project: DjangoProject) -> None:
    told = kept(django_project, "moving", "connection.set_schema('tb')")
    [reason] = told["wrong"]
    assert (
        "failed to close: IsolationError: the job of tenant 'ta' left Django's connection on the schema 'tb'" in reason
    )
    assert told["state"] == [["public", True, "public"]]


BEYOND = [
    "connection.set_schema('tb'); Note.objects.create(text='foreign')",
    "connection.set_schema_to_public(); Note.objects.create(text='foreign')",
    "exec(\"with schema_context('tb'): Note.objects.all().delete()\")",
    "self.in_copy()",
    "self.in_another()",
]


def test_nothing_is_done_in_another_schema(django_project: DjangoProject) -> None:
    for number, body in enumerate(BEYOND):
        django_project.job(f"writing_{number}", WRITE.format(body=body))
    told = django_project.program(f"""
        wrong = [await failures(project, f"writing_{{number}}", tenants=["ta"]) for number in range({len(BEYOND)})]
        return {{"wrong": wrong, "notes": await in_thread(notes)}}
    """)
    assert told["notes"] == CANARIES
    for body, reasons in zip(BEYOND, told["wrong"], strict=True):
        assert reasons[0].startswith(("IsolationError: the job of tenant 'ta' asked", "IsolationError: tenant 'tb'")), (
            body
        )


WRITE = """
class Writing(BackgroundJob):
    def run(self) -> None:
        {body}

    def in_copy(self) -> None:
        copy = connection.copy()
        try:
            with copy.cursor() as cursor:
                cursor.execute("select * from shop_note")
        finally:
            copy.close()

    def in_another(self) -> None:
        from pinstripe import Tenant
        from pinstripe.django_tenants import tenant_context
        with tenant_context(Tenant("tb")):
            Note.objects.all().delete()
"""


def test_no_connection_of_a_job_stays_open(
    django_project: DjangoProject, postgres: Postgres, postgres_database: str
) -> None:
    django_project.job("read_notes", READ)
    told = django_project.program(f"""
        wrong = await failures(project, "read_notes")
        def count():
            from django.db import connection
            with connection.cursor() as cursor:
                cursor.execute("select count(*) from pg_stat_activity where datname = '{postgres_database}'")
                return cursor.fetchone()[0]
        return [wrong, await in_thread(count)]
    """)
    assert told == [[], 1]


def test_a_tenant_whose_schema_is_gone_is_refused(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ)
    told = django_project.program("""
        def drop():
            from django.db import connection
            with connection.cursor() as cursor:
                cursor.execute("drop schema tb cascade")
        await in_thread(drop)
        return await failures(project, "read_notes")
    """)
    [reason] = told
    assert "IsolationError: tenant 'tb' has no schema 'tb'" in reason


def test_tenants_of_another_source_are_found_by_their_schema(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ)
    django_project.folder.file("shop/tenancy.py", "def tenants():\n    return ['ta', 'tb', 'tc']\n")
    pyproject = django_project.folder.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("shop.models:Client", "shop.tenancy:tenants"))
    told = django_project.program('return await failures(project, "read_notes")')
    [reason] = told
    assert "tenant 'tc': there is no Client with the schema_name 'tc'" in reason


def test_a_job_in_a_process_is_inside_its_tenant_too(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ.replace("    def run", '    runs_in = "process"\n\n    def run'))
    told = django_project.program("""
        return {"wrong": await failures(project, "read_notes"), "notes": await in_thread(notes)}
    """)
    assert told["wrong"] == []
    assert told["notes"]["tb"] == ["canary of tb", "mark of tb"]


def test_a_job_that_a_job_starts_is_for_the_same_tenant(django_project: DjangoProject) -> None:
    django_project.job("read_notes", READ)
    django_project.job(
        "outer",
        """
        class Outer(BackgroundJob):
            def run(self) -> None:
                self.wait(self.run_background_job("read_notes"))
                self.wait(self.run_background_job("shared"))
                Note.objects.create(text=f"after it in {self.tenant.id}")
        """,
    )
    django_project.job(
        "shared",
        """
        class Shared(BackgroundJob):
            multi_tenant = False

            def run(self) -> None:
                Note.objects.create(text=f"in {connection.schema_name}")
                connection.close()
        """,
    )
    told = django_project.program("""
        return {"wrong": await failures(project, "outer", tenants=["ta"]), "notes": await in_thread(notes)}
    """)
    ta = ["after it in ta", "canary of ta", "mark of ta"]
    assert told == {"wrong": [], "notes": {**CANARIES, "ta": ta, "public": ["canary of public", "in public"]}}
