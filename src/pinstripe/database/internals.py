"""Every private attribute of SQLAlchemy that the service leans on, in one place; a test fails when one changes.

Nothing here decides anything: it only reads what a statement is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import inspect, true
from sqlalchemy.orm import LoaderCriteriaOption, PropComparator, QueryableAttribute, RelationshipProperty
from sqlalchemy.orm.strategy_options import Load
from sqlalchemy.sql.lambdas import LambdaElement
from sqlalchemy.sql.util import extract_first_column_annotation, surface_expressions
from sqlalchemy.sql.visitors import HasTraverseInternals
from sqlalchemy.util import await_only as await_only  # noqa: PLC0414 - the service awaits inside SQLAlchemy's greenlets
from sqlalchemy.util.concurrency import in_greenlet as in_greenlet  # noqa: PLC0414 - as above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Mapper, Session
    from sqlalchemy.sql.elements import ClauseElement
    from sqlalchemy.types import TypeEngine

PRIVATE = (
    "sqlalchemy.sql.elements.ClauseElement._annotations",
    "sqlalchemy.sql.elements.ClauseElement._propagate_attrs",
    "sqlalchemy.sql.base.Generative._generate",
    "sqlalchemy.sql.dml.Insert._post_values_clause",
    "sqlalchemy.sql.dml.ValuesBase._values",
    "sqlalchemy.sql.dml.ValuesBase._multi_values",
    "sqlalchemy.sql.base.Executable._with_options",
    "sqlalchemy.sql.lambdas.LambdaElement._resolved",
    "sqlalchemy.sql.selectable.HasHints._hints",
    "sqlalchemy.sql.selectable.HasHints._statement_hints",
    "sqlalchemy.sql.selectable.HasPrefixes._prefixes",
    "sqlalchemy.sql.selectable.HasSuffixes._suffixes",
    "sqlalchemy.sql.selectable.Select._auto_correlate",
    "sqlalchemy.sql.selectable.Select._correlate",
    "sqlalchemy.sql.selectable.Select._correlate_except",
    "sqlalchemy.sql.selectable.Select._from_obj",
    "sqlalchemy.sql.selectable.Select._memoized_select_entities",
    "sqlalchemy.sql.selectable.Select._raw_columns",
    "sqlalchemy.sql.selectable.Select._setup_joins",
    "sqlalchemy.sql.selectable.Select._where_criteria",
    "sqlalchemy.sql.util.extract_first_column_annotation",
    "sqlalchemy.sql.util.surface_expressions",
    "sqlalchemy.sql.visitors.HasTraverseInternals.get_children",
    "sqlalchemy.orm.LoaderCriteriaOption._resolve_where_criteria",
    "sqlalchemy.orm.LoaderCriteriaOption._traverse_internals",
    "sqlalchemy.orm.LoaderCriteriaOption.where_criteria",
    "sqlalchemy.orm.Session.identity_map",
    "sqlalchemy.orm.SessionTransaction._new",
    "sqlalchemy.orm.interfaces.PropComparator._bulk_update_tuples",
    "sqlalchemy.orm.attributes.QueryableAttribute._extra_criteria",
    "sqlalchemy.orm.attributes.QueryableAttribute._of_type",
    "sqlalchemy.orm.strategy_options.Load.context",
    "sqlalchemy.orm.strategy_options._LoadElement._extra_criteria",
    "sqlalchemy.orm.strategy_options._LoadElement.local_opts",
    "sqlalchemy.orm.strategy_options._LoadElement.path",
    "sqlalchemy.orm.util.AliasedInsp._adapter",
    "sqlalchemy.orm.util.AliasedInsp._base_alias",
    "sqlalchemy.types.TypeEngine._variant_mapping",
    "sqlalchemy.util.await_only",
    "sqlalchemy.util.concurrency.in_greenlet",
)
"""What is leant on, by its full name."""

_OF_QUERY = ("_raw_columns", "_setup_joins", "_memoized_select_entities")

_CORRELATION = ("_correlate", "_correlate_except")
"""What a query takes from around it, or doesn't: no table is read for being named there."""


class Criteria(LoaderCriteriaOption):
    """Criteria of a class that hold for each of its aliases, however it comes into a query.

    SQLAlchemy's own stay those of the class itself where an alias is joined by a condition that is written out: they
    would keep another mention of the class to the tenant, and the alias to nothing.
    """

    _traverse_internals = LoaderCriteriaOption._traverse_internals  # noqa: SLF001 - what statements are told apart by

    def __init__(self, entity: type, condition: ColumnElement[bool]) -> None:
        """Take the `condition` that is added to each mention of the class."""
        super().__init__(entity, condition, include_aliases=True)

    def _resolve_where_criteria(self, ext_info: Any) -> Any:
        condition = super()._resolve_where_criteria(ext_info)
        return ext_info._adapter.traverse(condition) if ext_info.is_aliased_class else condition  # noqa: SLF001

    def __reduce__(self) -> tuple[Any, ...]:
        """Let rows be pickled, which hold the options that they were read with; what is unpickled is in no session."""
        assert self.entity is not None  # noqa: S101 - it was made with one
        return unrestricted, (self.entity.class_,)


def unrestricted(entity: type) -> LoaderCriteriaOption:
    """Give what stands for the criteria of a class in a row that was pickled: such a row is in no session of ours."""
    return LoaderCriteriaOption(entity, true())


class Selected(NamedTuple):
    """What a query selects: its columns, the joins by `select.join`, and what it reads from by `select_from`."""

    columns: tuple[Any, ...]
    joins: tuple[tuple[Any, Any], ...]
    froms: tuple[Any, ...]
    where: tuple[Any, ...]


def entity_of(element: Any) -> Any:
    """Give the mapper or the alias of a class from which an element of a statement was made; None for neither.

    An alias of several classes (`with_polymorphic`) is given for the classes in it.
    """
    annotations = element._annotations  # noqa: SLF001 - see PRIVATE, as everywhere here
    return _whole(annotations.get("parententity") or annotations.get("parentmapper"))


def first_entity_of(column: Any) -> list[Any]:
    """Give the entities for which the ORM gives a column of a query their criteria: one, but for bundles."""
    if column._annotations.get("bundle"):  # noqa: SLF001
        return [entity for one in children(column) for entity in first_entity_of(one)]
    own = column._annotations.get("parententity")  # noqa: SLF001
    found = own or extract_first_column_annotation(column, "parententity")  # type: ignore[no-untyped-call]
    return [] if found is None else [_whole(found)]


def entities_in(condition: Any) -> Iterator[Any]:
    """Give the entities for which the ORM gives a condition of a query their criteria."""
    for element in surface_expressions(condition):  # type: ignore[no-untyped-call]
        entity = element._annotations.get("parententity")  # noqa: SLF001
        if entity is not None:
            yield _whole(entity)


def _whole(entity: Any) -> Any:
    if entity is None or not entity.is_aliased_class:
        return getattr(entity, "mapper", entity)
    return entity._base_alias() or entity  # noqa: SLF001


def is_plain_alias(entity: Any) -> bool:
    """Tell whether an alias of a class is one of its table as it is: it reads nothing besides the class."""
    return getattr(entity.selectable, "element", None) is entity.mapper.local_table


def is_orm(query: Any) -> bool:
    """Tell whether a query is compiled by the ORM, which alone gives it criteria."""
    return query._propagate_attrs.get("compile_state_plugin") == "orm"  # type: ignore[no-any-return]  # noqa: SLF001


def selected(query: Any) -> Selected:
    """Give what a `Select` selects, also what `with_only_columns` has replaced."""
    parts = (query, *query._memoized_select_entities)  # noqa: SLF001
    return Selected(
        tuple(column for part in parts for column in part._raw_columns),  # noqa: SLF001
        tuple((target, on) for part in parts for target, on, _, _ in part._setup_joins),  # noqa: SLF001
        tuple(query._from_obj) + tuple(one for part in parts for _, _, one, _ in part._setup_joins if one is not None),  # noqa: SLF001
        tuple(query._where_criteria),  # noqa: SLF001
    )


def related(target: Any) -> tuple[Any, tuple[Any, ...]] | None:
    """Give the entity that a relationship's attribute leads to, and what `and_()` adds; None for anything else."""
    if not isinstance(target, QueryableAttribute) or not hasattr(target.property, "mapper"):
        return None
    extra = target._extra_criteria  # noqa: SLF001
    if target._of_type is not None:  # noqa: SLF001
        return _whole(inspect(target._of_type)), extra  # noqa: SLF001
    return _whole(target.property.entity), extra


def correlates(query: Any, tables: Iterable[Any]) -> bool:
    """Tell whether a query inside of another one takes these tables from there, and doesn't read them itself."""
    froms = query.get_final_froms()
    if not all(table in froms for table in tables):
        return False  # SQLAlchemy takes none out of a join
    if query._auto_correlate and len(froms) == 1:  # noqa: SLF001
        return False  # nor, unless it is told to, the only one
    if query._correlate_except is not None:  # noqa: SLF001
        return not any(table in query._correlate_except for table in tables)  # noqa: SLF001
    return query._auto_correlate or all(table in query._correlate for table in tables)  # noqa: SLF001


def children(element: ClauseElement) -> Iterable[Any]:
    """Give what an element is written of; for a query without what SQLAlchemy derives from that to read from."""
    if isinstance(element, LambdaElement):
        return (element._resolved,)  # noqa: SLF001
    return HasTraverseInternals.get_children(element)


def children_beside(query: Any) -> Iterable[Any]:
    """Give what else a `Select` is written of than what `selected` gives."""
    return HasTraverseInternals.get_children(
        query, omit_attrs=(*_OF_QUERY, *_CORRELATION, "_from_obj", "_where_criteria")
    )


def text_beside(element: Any) -> Iterator[object]:
    """Give the text of prefixes, suffixes and hints."""
    for name in ("_prefixes", "_suffixes", "_statement_hints"):
        yield from (one[0] if name[1:] != "statement_hints" else one[1] for one in getattr(element, name, None) or ())
    yield from (getattr(element, "_hints", None) or {}).values()


def options_of(element: Any) -> Iterator[tuple[list[Any], Any]]:
    """Give each expression in the options of a statement, with the entities whose columns it is expected to name.

    Those of a scope are left out, which name every class: a query by which rows are loaded further has them by itself.
    """
    for option in getattr(element, "_with_options", ()):
        if isinstance(option, LoaderCriteriaOption) and not isinstance(option, Criteria):
            criteria: Any = option.where_criteria
            mapper = inspect(option.entity or option.root_entity).mapper
            yield [mapper], criteria._resolved if isinstance(criteria, LambdaElement) else criteria  # noqa: SLF001
        for load in option.context if isinstance(option, Load) else ():
            steps = load.path.path
            entities = [
                one for one in steps if getattr(one, "is_mapper", False) or getattr(one, "is_aliased_class", False)
            ]
            entities += [one.entity for one in steps if isinstance(one, RelationshipProperty)]
            yield from (([*map(_whole, entities)], extra) for extra in load._extra_criteria)  # noqa: SLF001


def aliases_loaded(element: Any) -> Iterator[Any]:
    """Give the aliases by which options load relationships, as `selectinload(User.posts.of_type(…))` does."""
    for option in getattr(element, "_with_options", ()):
        for load in option.context if isinstance(option, Load) else ():
            yield from (_whole(one) for one in load.path.path if getattr(one, "is_aliased_class", False))


def with_element(statement: Any, query: Any) -> Any:
    """Give the same `from_statement` of another query."""
    made = statement._generate()  # noqa: SLF001
    made.element = query
    return made


def options_given(element: Any) -> set[Any]:
    """Give the options that a statement has by itself."""
    return set(getattr(element, "_with_options", ()))


def filled_from(query: Any) -> Iterator[tuple[Any, Any]]:
    """Give what `contains_eager` fills relationships from, each as an entity or as an element of the query.

    A query is expected to join it; SQLAlchemy reads it also where nobody has, and then without criteria.
    """
    for option in query._with_options:  # noqa: SLF001
        for load in option.context if isinstance(option, Load) else ():
            if "eager_from_alias" not in load.local_opts:
                continue
            element: Any = load.local_opts["eager_from_alias"]
            target: Any = load.path.path[-1]
            is_target = element is None or element is target.selectable
            yield (_whole(target), None) if is_target else (None, element)


def assigned(statement: Any) -> Iterator[tuple[Any, Any]]:
    """Give what an update sets, by whatever it was named, with the value."""
    values = statement._values  # noqa: SLF001
    yield from values if isinstance(values, tuple | list) else (values or {}).items()
    for group in statement._multi_values:  # noqa: SLF001
        for each in group:
            yield from each.items() if isinstance(each, dict) else zip(statement.table.columns, each, strict=False)


def has_many_values(insert: Any) -> bool:
    """Tell whether an insert is of several rows by `values([…])`, where no parameter adds a column."""
    return bool(insert._multi_values)  # noqa: SLF001


def may_update(change: Any) -> bool:
    """Tell whether it is an insert that changes a row which is there already, by `on conflict do update` say."""
    clause = getattr(change, "_post_values_clause", None)
    return clause is not None and not clause.__visit_name__.endswith("do_nothing")


def columns_of(key: Any, value: object, mapper: Mapper[Any] | None) -> Iterator[str]:
    """Give the names of the columns that are set where `key` is set to `value`: attributes may stand for others."""
    yield str(getattr(key, "name", None) or getattr(key, "key", None) or key)
    name = key if isinstance(key, str) else getattr(key, "_annotations", {}).get("proxy_key") or getattr(key, "key", "")
    attribute = None if mapper is None else getattr(mapper.class_, str(name), None)
    if isinstance(attribute, PropComparator):
        for column, _ in attribute._bulk_update_tuples(value):  # noqa: SLF001
            yield str(getattr(column, "name", None) or getattr(column, "key", None) or column)


def variant_of(kind: TypeEngine[Any], dialect: str) -> TypeEngine[Any]:
    """Give the type that a column's type was said to be on that dialect by `with_variant`; itself, if nothing was."""
    return kind._variant_mapping.get(dialect, kind)  # noqa: SLF001


def has_rows(session: Session) -> bool:
    """Tell whether the session knows of any row."""
    return bool(session.identity_map)


def undo_with_transaction(session: Session, row: object) -> None:
    """Let the session forget a row that a statement has inserted when its transaction, or savepoint, is rolled back.

    SQLAlchemy does so with rows that were added to a session; others would stay there, and be taken for whatever row
    of the database has their primary key later on.
    """
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is not None:
        transaction._new[inspect(row)] = True  # noqa: SLF001
