"""`pinstripe show-config`: every setting with its value and where it came from."""

from __future__ import annotations

import click

from pinstripe.commands.options import example, json_option, project_option


@click.command(
    "show-config", epilog=example("pinstripe show-config", "PINSTRIPE_TIME_ZONE=Europe/Paris pinstripe show-config")
)
@project_option
@json_option
def command(project: str | None, *, as_json: bool) -> None:
    """Show every setting with its value and where it came from; passwords are hidden."""
    from pinstripe.commands.screen import table, write_json
    from pinstripe.config import describe_settings, find_project, load_settings
    from pinstripe.views.text import visible

    settings = load_settings(find_project(project))
    described = describe_settings(settings)
    if as_json:
        write_json({"project": str(settings.folder), "settings": [one._asdict() for one in described]})
        return
    click.echo(f"Project: {visible(str(settings.folder))}\n")
    for line in table(("SETTING", "VALUE", "FROM"), [(key, _cell(value), origin) for key, value, origin in described]):
        click.echo(line)


def _cell(value: str | int | bool | list[str] | None) -> str:  # noqa: FBT001 - a value among others
    from pinstripe.views.text import visible

    match value:
        case None | []:
            return "-"
        case bool():
            return "true" if value else "false"
        case list():
            return visible(", ".join(value))
        case _:
            return visible(str(value))
