"""Where each setting comes from: devbox.yaml, this machine, the profile, the security level, or a default.

Pure: it compares what was written with what became of it. Must not decide a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from builder.core.validation import written

if TYPE_CHECKING:
    from builder.core.config import Config
    from builder.core.problems import Path
    from builder.model import Resolved

MACHINE: Final = "this machine"
EMPTY_NETWORK: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({})
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    key: str  # resources.memory
    value: Any  # plain data
    origin: str  # devbox.yaml:12, this machine, profile workstation, level locked, default


def explain_config(
    config: Config, resolved: Resolved, network: Mapping[str, tuple[str, str]] = EMPTY_NETWORK
) -> tuple[Setting, ...]:
    """Every setting in the order of the reference, and behind them what has no key: the proxies of this machine.

    `network` is what this machine's own settings say: key -> value and origin.
    """
    told = {key: Setting(key=key, value=value, origin=origin) for key, (value, origin) in network.items()}
    later = {**_decided_later(config, resolved), **told}
    found = [later.get(item.key, item) if item.value is None else item for item in _explain(config, config, ())]
    known = {item.key for item in found}
    return (*found, *(setting for key, setting in told.items() if key not in known))


def _decided_later(config: Config, resolved: Resolved) -> Mapping[str, Setting]:
    """What devbox.yaml and its defaults leave open, and the machine or the catalogue decides."""
    runtime = resolved.runtime
    server = next((tool.name for tool in resolved.tools if "vnc" in tool.ports), None)
    settings = (
        Setting(key="user.uid", value=runtime.uid, origin=MACHINE),
        Setting(key="desktop.server", value=server, origin=f"profile {config.profile}"),
    )
    return {setting.key: setting for setting in settings}


def _explain(config: Config, section: BaseModel, path: Path) -> Iterator[Setting]:
    plain = section.model_dump(mode="json")
    for name in type(section).model_fields:
        value, here = getattr(section, name), (*path, name)
        if isinstance(value, BaseModel):
            yield from _explain(config, value, here)
        elif isinstance(value, Mapping) and value:
            for key, item in value.items():
                entry = (*here, key)
                if isinstance(item, BaseModel):
                    yield from _explain(config, item, entry)
                else:
                    yield _setting(config, entry, item, given=True)
        else:
            yield _setting(config, here, plain[name], given=name in section.model_fields_set)


def _setting(config: Config, path: Path, value: object, *, given: bool) -> Setting:
    return Setting(key=".".join(map(str, path)), value=value, origin=_origin(config, path, given=given))


def _origin(config: Config, path: Path, *, given: bool) -> str:
    if not given:
        return DEFAULT
    if line := _line_of(config, path):
        return f"{config.source.file}:{line}"
    return MACHINE if len(path) == 1 else f"level {config.security.level}"


def _line_of(config: Config, path: Path) -> int | None:
    """Where it was written: at its own key, or in the short form of a section above it."""
    keys, node = config.source.keys, config.source.data
    for depth, part in enumerate(path, start=1):
        if not isinstance(node, Mapping) or part not in node or written(node[part]) is None:
            return None
        node = node[part]
        position = keys.get(path[:depth])
        if position and (depth == len(path) or not isinstance(node, Mapping)):
            return position.line
    return None
