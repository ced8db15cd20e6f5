from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pinstripe.annotations import declared_services, own_classes, resolve
from pinstripe.background_job import BackgroundJob

if TYPE_CHECKING:
    from nowhere import Database, Mailer  # type: ignore[import-not-found]


class Parent(BackgroundJob):
    database: Database
    archive: Any
    _private: Any
    limit: int = 3
    shared: ClassVar[dict[str, int]]


class Child(Parent):
    mailer: Mailer
    archive = None
    database: Database
    limit: int


def test_services_are_what_is_annotated_without_a_value() -> None:
    assert declared_services(Parent) == ("database", "archive")


def test_parents_come_first_and_a_value_takes_the_place_of_a_service() -> None:
    assert declared_services(Child) == ("database", "mailer")
    assert own_classes(Child) == [Parent, Child]


def test_a_class_variable_that_is_no_text() -> None:
    namespace = {"ClassVar": ClassVar, "BackgroundJob": BackgroundJob}
    source = "class Job(BackgroundJob):\n    a: ClassVar\n    b: ClassVar[int]\n    c: int"
    exec(compile(source, "job.py", "exec", dont_inherit=True), namespace)
    job: Any = namespace["Job"]
    assert declared_services(job) == ("c",)


def test_mixins_before_the_job_count_and_those_after_it_do_not() -> None:
    class Before:
        mailer: object

    class After:
        archive: object

    class Job(Before, BackgroundJob, After): ...

    assert declared_services(Job) == ("mailer",)


def test_annotations_that_are_text_are_resolved() -> None:
    def run(self: object, a: int, b: list[int] | None = None, c=1, *d: ClassVarHolder) -> Mailer: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    signature = resolve(run)
    assert [each.annotation for each in signature.parameters.values()] == [
        object,
        int,
        list[int] | None,
        inspect.Parameter.empty,
        ClassVarHolder,
    ]


def test_text_inside_an_annotation_is_resolved() -> None:
    def run(a: Any) -> None: ...

    run.__annotations__["a"] = list["ClassVarHolder"]
    assert resolve(run).parameters["a"].annotation == list[ClassVarHolder]


def test_a_name_of_the_file_goes_before_the_built_in_one() -> None:
    source = "from __future__ import annotations\nint = str\ndef run(a: int, b: str): ..."
    namespace: dict[str, Any] = {}
    exec(compile(source, "job.py", "exec", dont_inherit=True), namespace)
    assert resolve(namespace["run"]).parameters["a"].annotation is str


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there, annotations are evaluated by the signature itself")
def test_what_is_imported_for_type_checkers_only_cannot_be_resolved() -> None:
    def run(mailer: Mailer) -> None: ...

    with pytest.raises(NameError, match="Mailer"):
        resolve(run)


class ClassVarHolder:
    pass
