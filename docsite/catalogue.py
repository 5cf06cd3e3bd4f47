"""The page of the catalogue: what there is to choose from, and what its files may hold."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from builder.adapters.assets import load_assets
from builder.core.catalog import BaseFile, Catalog, ProfileFile, ToolFile, parse_catalog
from builder.core.schema import make_schema
from builder.core.sidecars import SidecarFile
from builder.core.tool_view import list_tools
from docsite.shapes import find_comment
from docsite.tables import describe_kind, make_table

if TYPE_CHECKING:
    from builder.core.validation import Section

HEAD: Final = """\
# Catalogue

What there is to choose from in devbox.yaml, as `devbox tools` says it too. `devbox tool show NAME` has the rest of a
tool: packages, services, ports, variables, checks. Files of your own lie over these ([guide](../own-tools.md)).

"""
FILES: Final[Mapping[str, tuple[str, type[Section]]]] = {
    "Tool": ("tool", ToolFile),
    "Base": ("base", BaseFile),
    "Profile": ("profile", ProfileFile),
    "Sidecar": ("sidecar", SidecarFile),
}


def render_catalogue() -> str:
    assets = load_assets()
    catalog = parse_catalog(assets.listing)
    parts = [
        HEAD,
        f"## Bases\n\n{_bases(catalog)}",
        f"\n## Profiles\n\n{_profiles(catalog)}",
        f"\n## Sidecars\n\n{_sidecars(catalog)}",
        f"\n## Tools\n\n{_tools(catalog, assets.listing)}",
    ]
    return "".join([*parts, *(_keys(title, *found) for title, found in FILES.items())])


def _bases(catalog: Catalog) -> str:
    rows = (
        (f"`{name}`", base.image, base.python, base.substitute or "", base.supported_until or "")
        for name, base in sorted(catalog.bases.items())
    )
    return make_table(("base", "image", "Python", "in its place", "supported until"), rows)


def _profiles(catalog: Catalog) -> str:
    rows = (
        (
            f"`{name}`",
            profile.summary,
            ", ".join([*profile.tools, *profile.slots.values()]),
            ", ".join(f"{what} {most:g}" for what, most in profile.budgets.items()),
        )
        for name, profile in sorted(catalog.profiles.items())
    )
    return make_table(("profile", "what it is", "tools", "budgets"), rows)


def _sidecars(catalog: Catalog) -> str:
    rows = (
        (
            f"`{name}`",
            sidecar.summary,
            f"{sidecar.image.name}:{sidecar.version}" if sidecar.image else "",
            ", ".join(sidecar.build.apt) if sidecar.build else "",
            ", ".join(sidecar.gives),
        )
        for name, sidecar in sorted(catalog.sidecars.items())
    )
    return make_table(("sidecar", "what it is", "image", "packages in its place", "variables inside"), rows)


def _tools(catalog: Catalog, listing: Mapping[str, str]) -> str:
    rows = (
        (
            f"`{tool.name}`",
            tool.summary,
            ", ".join(f"**{key}**" if key == tool.default else key for key in tool.versions),
            ", ".join(tool.requires),
            ", ".join(tool.profiles),
        )
        for tool in list_tools(catalog, listing)
    )
    return make_table(("tool", "what it is", "versions (default)", "requires", "profiles"), rows)


def _keys(title: str, kind: str, model: type[Section]) -> str:
    schema = make_schema(kind)
    source = inspect.getsource(model)
    rows = [
        (
            f"`{field.alias or name}`",
            describe_kind(schema["properties"][field.alias or name], schema.get("$defs", {})),
            "needed" if (field.alias or name) in schema.get("required", ()) else "",
            find_comment(source, name),
        )
        for name, field in model.model_fields.items()
    ]
    head = f"\n## {title} file\n\n`images/{kind}s/<name>.yaml`; `devbox schema {kind}` is the same for editors.\n\n"
    return head + make_table(("key", "takes", "", "meaning"), rows)
