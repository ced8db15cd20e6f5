"""Reads a page as strictly as nobody else does: what isn't well formed, safe or accessible fails the test."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}
IN_PARAGRAPH = {
    "a", "b", "br", "button", "code", "em", "i", "input", "kbd", "label", "path", "select", "small", "span", "strong",
    "svg", "time", "wbr", "rect", "title", "g", "option", "abbr",
}  # fmt: skip
"""What may stand in a paragraph; anything else would end it."""

DRAWN = {"circle", "desc", "g", "line", "path", "rect", "svg", "title", "use"}


@dataclass
class Node:
    """An element of a page; its `children` are elements and texts."""

    tag: str
    attributes: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, without that of pictures, with each run of white space as one space."""
        return re.sub(r"[ \t\n]+", " ", "".join(self.texts())).strip()

    def texts(self) -> Iterator[str]:
        """Iterate the texts in it, parted where a browser would."""
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag != "svg":
                is_inline = child.tag in IN_PARAGRAPH - {"br", "option"}
                yield from child.texts() if is_inline else (" ", *child.texts(), " ")

    @property
    def exact(self) -> str:
        """All text in it, as it is."""
        return "".join(child if isinstance(child, str) else child.exact for child in self.children)

    def all(self, tag: str | None = None, **attributes: str) -> list[Node]:
        """Give the elements in it with these attributes (`class_` is one of its classes), in their order."""
        return [node for node in self.walk() if _is_like(node, tag, attributes)]

    def one(self, tag: str | None = None, **attributes: str) -> Node:
        """Give the only element like that."""
        (found,) = self.all(tag, **attributes)
        return found

    def walk(self) -> Iterator[Node]:
        """Iterate the elements in it, in their order."""
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.walk()

    def links(self) -> dict[str, str]:
        """Give where its links lead, by their texts."""
        return {node.text: node.attributes["href"] for node in self.all("a")}

    def rows(self) -> list[list[str]]:
        """Give the texts of the cells of its tables' bodies."""
        rows = [row for body in self.all("tbody") for row in body.all("tr")]
        return [[cell.text for cell in row.children if isinstance(cell, Node)] for row in rows]


def _is_like(node: Node, tag: str | None, attributes: dict[str, str]) -> bool:
    if tag is not None and node.tag != tag:
        return False
    for name, value in attributes.items():
        if name == "class_":
            if value not in node.attributes.get("class", "").split():
                return False
        elif node.attributes.get(name.replace("_", "-")) != value:
            return False
    return True


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.at = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len({*names}), f"<{tag}> has an attribute twice: {names}"
        node = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        if any(one.tag == "p" for one in _above(node)):
            assert tag in IN_PARAGRAPH, f"<{tag}> ends a paragraph: {self.at.text[:80]!r}"
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN | VOID, f"<{tag}/> doesn't end itself"
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> ends <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def _above(node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def read(html: str) -> Node:
    """Read a page, or a part of one; what isn't well formed or safe fails."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.tag}> has no end"
    for node in reader.root.walk():
        for name, value in node.attributes.items():
            assert not name.startswith("on"), f"<{node.tag} {name}>"
            assert name != "style", f"<{node.tag} style={value!r}>"
            if name in {"href", "src", "action"}:
                is_ours = value.startswith(("/_pinstripe/", "#")) and not value.startswith("//")
                assert is_ours, f"<{node.tag} {name}={value!r}>"
        assert node.tag not in {"style", "iframe", "object", "embed", "base"}, f"<{node.tag}>"
        assert node.tag != "script" or (node.attributes.get("src") and not node.exact), "a script in the page"
    return reader.root


def read_page(html: str) -> Node:
    """Read a whole page, which must be accessible as far as that can be seen in it."""
    assert html.startswith("<!doctype html>")
    page = read(html.removeprefix("<!doctype html>"))
    assert page.one("html").attributes["lang"] == "en"
    assert (
        len(page.all("h1"))
        == len(page.all("main"))
        == len(
            page.all(
                "title",
            )
        )
        - len([title for title in page.all("title") if any(above.tag == "svg" for above in _above(title))])
        == 1
    )
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len({*ids}), f"ids that are there twice: {sorted({one for one in ids if ids.count(one) > 1})}"
    for node in page.walk():
        _check(node, page, {*ids})
    return page


def _check(node: Node, page: Node, ids: set[str]) -> None:
    attributes = node.attributes
    for name in ("for", "list", "aria-labelledby", "aria-describedby"):
        for one in attributes.get(name, "").split():
            assert one in ids, f"<{node.tag} {name}={one!r}> names nothing"
    if (
        node.tag in {"input", "select", "textarea"}
        and attributes.get("type") != "hidden"
        and "hidden" not in attributes
    ):
        is_labelled = (
            "aria-label" in attributes
            or page.all("label", **{"for": attributes.get("id", "-")})
            or any(above.tag == "label" for above in _above(node))
        )
        assert is_labelled, f"<{node.tag} {attributes}> has no label"
    if node.tag in {"a", "button", "summary"}:
        assert node.text or attributes.get("aria-label"), f"<{node.tag} {attributes}> says nothing"
        assert not any(above.tag in {"a", "button"} for above in _above(node)), f"<{node.tag}> in a link or button"
    _check_structure(node)


def _check_structure(node: Node) -> None:
    attributes = node.attributes
    if node.tag == "th":
        assert attributes.get("scope") in {"col", "row"}, f"<th> without a scope: {node.text!r}"
    if node.tag == "svg":
        assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), "a picture that says nothing"
    if node.tag == "form" and attributes.get("method") == "post":
        assert node.one("input", name="csrf_token").attributes["value"], "a form without a token"
    if node.tag in {"dt", "dd"}:
        assert any(above.tag == "dl" for above in _above(node)), f"<{node.tag}> in no list"
    if node.tag == "li":
        assert node.parent is not None
        assert node.parent.tag in {"ul", "ol"}, "<li> in no list"
    if node.tag in {"ul", "ol"}:
        assert all(child.tag == "li" for child in node.children if isinstance(child, Node)), "not <li> in a list"
