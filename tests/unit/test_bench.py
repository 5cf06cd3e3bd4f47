"""The arithmetic and the words of the bench; what it measures is its own affair."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import docker
import pytest
import requests
from docker.errors import APIError

from bench import far, far_end
from bench.charts import draw_shares, draw_timelines
from bench.compare import Comparison
from bench.figures import Figure, Results, Share, Timeline, make_figure, ratio_interval, take_turns
from bench.handmade import SOURCE
from bench.measures import ENGINELESS, MEASURES, USUAL
from bench.painted import TOLERANCE, Still, find_painted
from bench.report import find_kept, render_json, render_markdown, render_table
from bench.sizes import share_out
from bench.stand import remove_images
from bench.targets import BARS
from bench.vnc_cases import PAGE, TIGER_CASES, TIGHT_CASES
from builder.adapters.handover import render_build_secrets
from builder.adapters.hostinfo import NetworkSettings
from builder.adapters.rfb import ask_tight
from builder.core.contents import Contents
from builder.core.dpkg import parse_status
from builder.model import ImageFile

NOOP = Figure(
    name="noop",
    what="`devbox up`, nothing to do",
    unit="s",
    values=(0.4, 0.2, 0.3),
    baseline="something else",
    baseline_values=(0.1, 0.2),
    target=0.5,
)
BIG = Figure(name="size", what="image", unit="MB", values=(600.0,), target=520)
SHARES = (Share(part="desktop", ours=140, naive=400), Share(part="base", ours=70, naive=110))
TIMELINES = (
    Timeline(name="ours", phases={"container runs": 0.2, "painted": 0.9}),
    Timeline(name="naive", phases={"container runs": 0.2, "painted": 3.1}),
)
RESULTS = Results(
    date="2030-01-01",
    machine={"cores": "2 cores"},
    figures=(NOOP, BIG),
    conditions=("debian-12 in place of another",),
    notes=("no cache was dropped",),
    shares=SHARES,
)


def test_acts_take_turns() -> None:
    order: list[str] = []
    seconds = take_turns(2, {"a": lambda: order.append("a"), "b": lambda: order.append("b")})
    assert order == ["a", "b", "a", "b"]
    assert [len(values) for values in seconds.values()] == [2, 2]


def test_a_figure_is_a_median_with_a_ratio_to_its_baseline() -> None:
    assert NOOP.median == 0.3
    assert NOOP.ratio is not None
    assert round(NOOP.ratio, 3) == 2.0
    assert NOOP.met is True
    assert BIG.ratio is None
    assert BIG.met is False


def test_a_missed_target_is_said_in_every_form() -> None:
    assert "not met" in render_table(RESULTS).splitlines()[2]
    assert "| image | 600 MB | 600-600 | 1 |  |  | <= 520 MB | not met |" in render_markdown(RESULTS, "python -m bench")
    assert json.loads(render_json(RESULTS))["figures"][1]["met"] is False


@pytest.mark.parametrize(
    ("seconds", "baseline", "words"),
    [
        ((0.2,), (1.0,), "met"),
        ((0.2,), (0.3,), "s met, ratio not met"),
        ((0.3,), (1.0,), "s not met, ratio met"),
        ((0.3,), (0.3,), "not met"),
    ],
)
def test_of_two_bars_each_is_judged(seconds: tuple[float, ...], baseline: tuple[float, ...], words: str) -> None:
    figure = make_figure("noop", "no-op", "s", seconds, "compose", baseline)
    assert (figure.target, figure.target_ratio) == (0.25, 0.4)
    row = render_table(Results(date="", machine={}, figures=(figure,))).splitlines()[1]
    assert re.search(rf"ratio <= 0.4\s+{words}$", row)
    assert figure.met is (words == "met")


def test_a_ratio_without_its_baseline_is_not_judged() -> None:
    figure = make_figure("start-warm", "start", "s", (1.0,))
    assert figure.met is None
    assert render_table(Results(date="", machine={}, figures=(figure,))).splitlines()[1].endswith("not judged")


def test_notes_and_shares_are_told() -> None:
    for text in (render_table(RESULTS), render_markdown(RESULTS, "python -m bench")):
        assert "no cache was dropped" in text
    assert "| desktop | 140.0 | 400.0 |" in render_markdown(RESULTS, "python -m bench")


def test_where_more_is_better_the_bar_is_a_floor() -> None:
    fast, slow = (make_figure("tunnel-fetch", "x", "MB/s", (rate,), "`ssh -L`", (100.0,)) for rate in (80.0, 79.0))
    assert (fast.met, slow.met) == (True, False)
    table = render_table(Results(date="", machine={}, figures=(slow,)))
    assert "ratio >= 0.8  not met" in table


def test_what_a_person_wrote_below_the_mark_is_kept() -> None:
    once = render_markdown(RESULTS, "python -m bench", kept="## Choices\n\nBecause.")
    again = render_markdown(RESULTS, "python -m bench", kept=find_kept(once))
    assert once == again
    assert again.rstrip().endswith("Because.")
    assert find_kept("# Performance\n") == ""


def _elements(picture: str, kind: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(picture)  # noqa: S314 (our own)
    return list(root.iter(f"{{http://www.w3.org/2000/svg}}{kind}"))


def test_pictures_are_well_formed_and_to_scale() -> None:
    bars = [float(item.attrib["width"]) for item in _elements(draw_shares(SHARES), "rect")]
    assert bars[1] == pytest.approx(bars[0] * 400 / 140, rel=0.01)
    texts = {item.text for item in _elements(draw_timelines(TIMELINES), "text")}
    assert {"ours", "naive", "0.90 s", "3.10 s"} <= texts


def test_the_table_of_measures_and_the_bars_are_whole() -> None:
    assert set(MEASURES) >= ENGINELESS | set(USUAL)
    assert "framework-10gb" not in USUAL
    assert all((bar.value, bar.ratio, bar.floor) != (None, None, None) for bar in BARS.values())


# ----------------------------------------------------------------------------------------------------- comparing


def test_the_other_end_of_a_tunnel_gives_takes_and_echoes_all_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with far_end.Server(("127.0.0.1", 0), far_end.Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(far, "PORT", server.server_address[1])
        assert far.fetch("127.0.0.1", 1_000_003) > 0
        assert far.send("127.0.0.1", 1_000_003) > 0
        assert far.round_trip("127.0.0.1", 3) > 0
        with far.talking("127.0.0.1", "give 10") as wire, pytest.raises(EOFError, match="1 bytes did not come"):
            far_end.take(wire, 11)
        server.shutdown()


def test_noise_is_not_worse_and_a_clear_loss_is() -> None:
    quiet = (1.00, 1.01, 0.99, 1.00, 1.02, 0.98, 1.00)
    noisy = (1.00, 1.40, 0.90, 1.35, 0.95, 1.05, 1.10)
    slow = tuple(1.5 * value for value in quiet)
    verdicts = [
        Comparison(name="x", unit="s", base=quiet, this=this, tolerance=1.1).verdict for this in (quiet, noisy, slow)
    ]
    assert verdicts == ["same", "same", "worse"]
    assert Comparison(name="x", unit="s", base=slow, this=quiet, tolerance=1.1).verdict == "better"


def test_an_interval_holds_its_ratio_and_repeats() -> None:
    these, those = (2.0, 2.2, 1.8, 2.1), (1.0, 1.1, 0.9, 1.0)
    low, ratio, high = ratio_interval(these, those)
    assert low <= ratio <= high
    assert ratio_interval(these, those) == (low, ratio, high)


# ------------------------------------------------------------------------------------------------------- painted


def _still(at: float, painted_pixels: int, total: int = 10_000) -> Still:
    pixels = b"\x10\x20\x30\0" * painted_pixels + bytes(4 * (total - painted_pixels))
    return Still(at=at, pixels=pixels, width=100, stride=1)


def test_painted_is_when_the_picture_becomes_and_stays_the_final_one() -> None:
    nearly = 10_001 - int(10_000 * TOLERANCE)
    stills = [_still(0.1, 0), _still(0.2, 10_000), _still(0.3, 5_000), _still(0.4, nearly), _still(0.9, 10_000)]
    assert find_painted(stills, stills[-1].picture()) == 0.4


# --------------------------------------------------------------------------------------------------------- sizes

STATUS = """\
Package: libc6
Status: install ok installed
Priority: required

Package: git
Status: install ok installed
Depends: libc6 (>= 2.34), libcurl4 | libcurl3, perl:any

Package: libcurl4
Status: install ok installed
Depends: libc6

Package: perl-base
Status: install ok installed
Provides: perl (= 5.36)

Package: xfwm4
Status: install ok installed
Depends: libcurl4

Package: gone
Status: deinstall ok config-files
"""


def test_a_package_counts_for_the_first_part_that_needs_it() -> None:
    sizes = {"usr/lib/libc.so": 10, "usr/bin/git": 20, "usr/lib/curl.so": 5, "usr/bin/perl": 7, "opt/node/x": 3}
    found = Contents(
        files={path: ImageFile(path=path, size=size) for path, size in {**sizes, "usr/bin/xfwm4": 2}.items()},
        debs=parse_status(STATUS),
        owners={
            "lib/libc.so": "libc6",
            "usr/bin/git": "git",
            "usr/lib/curl.so": "libcurl4",
            "usr/bin/perl": "perl-base",
            "usr/bin/xfwm4": "xfwm4",
        },
    )
    assert share_out(found) == {"base": 10, "git": 32, "node": 3, "desktop": 2}


def test_the_web_page_is_measured_as_it_is() -> None:
    viewer = Path(__file__).parents[2] / "images/rootfs/web/usr/share/devbox/web/viewer.js"
    levels = {name: int(level) for name, level in re.findall(r"rfb\.(\w+)Level = (\d);", viewer.read_text())}
    assert ask_tight(**{"quality": 6, **levels}) == PAGE  # 6 is noVNC's own
    assert {case.encodings for case in (*TIGER_CASES, *TIGHT_CASES) if case.usual and case.web} == {PAGE}


def test_the_naive_build_mounts_what_the_bench_gives_it() -> None:
    """A build that mounts what is not there fails after minutes, in a bench and in no test."""
    text = (SOURCE / "Dockerfile").read_text()
    assert set(re.findall(r"type=secret,id=([\w.]+)", text)) <= render_build_secrets(NetworkSettings()).keys()
    assert "source=host" not in text


@pytest.mark.parametrize(("code", "ends"), [(409, False), (500, True)])
def test_an_image_that_somebody_else_runs_by_now_stays_and_costs_no_figures(
    code: int, ends: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    removed: list[str] = []
    answer = requests.Response()
    answer.status_code = code

    def remove(tag: str) -> None:
        if tag == "ours:1":
            raise APIError("refused", response=answer)
        removed.append(tag)

    monkeypatch.setattr(docker, "from_env", lambda: SimpleNamespace(images=SimpleNamespace(remove=remove)))
    if ends:
        with pytest.raises(APIError):
            remove_images({"ours:1", "ours:2"})
        return
    remove_images({"ours:1", "ours:2"})
    assert removed == ["ours:2"]
    assert "ours:1 stays" in capsys.readouterr().err
