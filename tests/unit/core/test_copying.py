"""`devbox cp`: which end is inside, and where a copy lands, as `cp` has it."""

from __future__ import annotations

import pytest

from builder.core.copying import Ends, Kind, Look, find_landing, parse_ends
from builder.errors import ConfigError

FILE, FOLDER, MISSING = Kind.FILE, Kind.FOLDER, Kind.MISSING


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (("a.txt", ":b"), Ends(source="a.txt", target="b", into=True)),
        (("a.txt", ":"), Ends(source="a.txt", target=".", into=True)),
        (("-", ":/tmp"), Ends(source="-", target="/tmp", into=True)),
        ((":~/b", "."), Ends(source="b", target=".", into=False)),
        ((":~", "-"), Ends(source=".", target="-", into=False)),
        ((":a:b", "./:c"), Ends(source="a:b", target="./:c", into=False)),
    ],
)
def test_a_colon_says_which_end_is_in_the_workstation(words: tuple[str, str], ends: Ends) -> None:
    assert parse_ends(*words) == ends


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "b"), "neither `a` nor `b` is in the workstation"),
        ((":a", ":b"), "both are in the workstation"),
        ((":", "b"), "no source is named"),
    ],
)
def test_ends_that_make_no_sense_are_refused_with_what_to_write(words: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        parse_ends(*words)
    assert "devbox" in str(refused.value.hint)


def land(source: str, kind: Kind, target: str, there: Kind, parent: Kind = FOLDER) -> str:
    ends = Ends(source=source, target=target, into=True)
    found = find_landing(ends, kind, Look(kind=there, parent=parent))
    return f"{found.folder} {found.name}".strip()


@pytest.mark.parametrize(
    ("source", "kind", "target", "there", "lands"),
    [
        ("dir/a", FILE, "b", FOLDER, "b a"),
        ("dir", FOLDER, "b", FOLDER, "b dir"),
        ("dir/", FOLDER, "b/", FOLDER, "b/ dir"),
        ("dir/.", FOLDER, "b", FOLDER, "b"),
        (".", FOLDER, "b", FOLDER, "b"),
        ("-", FOLDER, "b", FOLDER, "b"),
        ("a", FILE, "b", FILE, ". b"),
        ("a", FILE, "/b", MISSING, "/ b"),
        ("a", FILE, "x/b", MISSING, "x b"),
        ("dir", FOLDER, "b/", MISSING, ". b"),
        ("dir/.", FOLDER, "x/b", MISSING, "x b"),
    ],
)
def test_a_copy_lands_where_cp_would_put_it(source: str, kind: Kind, target: str, there: Kind, lands: str) -> None:
    assert land(source, kind, target, there) == lands


@pytest.mark.parametrize(
    ("source", "kind", "target", "there", "parent", "message"),
    [
        ("dir", FOLDER, "b", FILE, FOLDER, ":b: it is a file, not a folder"),
        ("a", FILE, "b/", MISSING, FOLDER, ":b/: there is no such folder"),
        ("a", FILE, "x/b", MISSING, MISSING, ":x/b: the folder that it would be in is not there"),
        ("a", FILE, "x/b", MISSING, FILE, ":x/b: the folder that it would be in is a file"),
        ("-", FOLDER, "b", MISSING, FOLDER, ":b: a tar is unpacked into a folder that is there"),
        ("-", FOLDER, "b", FILE, FOLDER, ":b: a tar is unpacked into a folder that is there"),
    ],
)
def test_what_cp_refuses_is_refused_with_a_hint(
    source: str, kind: Kind, target: str, there: Kind, parent: Kind, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        land(source, kind, target, there, parent)
    assert str(refused.value).startswith(message)
    assert refused.value.hint
