"""`coditect index` and `cxq` measured over 100,000 messages: speed next to what one would write first, and recall."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from bench.figures import Figure, take_seconds, take_turns

PACKAGE: Final = Path(__file__).parents[1] / "images" / "frameworks" / "coditect"
MESSAGES: Final = 100_000
SEED: Final = 814
# A transaction for each row takes minutes over all messages; a part of them says how long.
NAIVE_ROWS: Final = 2_000
QUERIES: Final = 8  # of each class, as a process each
RECALL_QUERIES: Final = 150  # of each class, in one process

GOAL_INDEX_S: Final = MESSAGES / 20_000
GOAL_QUERY_S: Final = 0.050
GOAL_MISSED: Final = 5.0

# The console script that pip makes.
SCRIPT: Final = """\
import re
import sys
from coditect.search.cxq import main
if __name__ == "__main__":
    sys.argv[0] = re.sub(r"(-script\\.pyw|\\.exe)?$", "", sys.argv[0])
    sys.exit(main())
"""
# What one would write first: read everything, look into every text.
SCAN: Final = """\
import json, sys
words = sys.argv[2].lower().split()
with open(sys.argv[1]) as lines:
    texts = (str(json.loads(line)["message"]["content"]) for line in lines)
    found = [text for text in texts if all(word in text.lower() for word in words)]
for text in found[:10]:
    print(text[:200])
"""
RECALL: Final = """\
import json, sys
from contextlib import closing
from pathlib import Path
from coditect.search.database import open_to_read
from coditect.search.filters import Filters
from coditect.search.find import find
from coditect.search.query import parse_query
from coditect.store import Store
asked = json.load(sys.stdin)
with closing(open_to_read(Store(Path(sys.argv[1])))) as database:
    print(json.dumps({
        name: sum(
            label not in {hit.id for hit in find(database, parse_query(text), Filters(), 10).hits}
            for text, label in queries
        ) / len(queries)
        for name, queries in asked.items()
    }))
"""


@dataclass(frozen=True, slots=True)
class _Data:
    """A store of generated messages, and labelled queries by class."""

    root: Path
    lines: Sequence[bytes]
    queries: dict[str, list[tuple[str, str]]]

    @property
    def messages(self) -> Path:
        return self.root / "context-storage" / "unified_messages.jsonl"


def measure_framework_search(stand: object, rounds: int) -> list[Figure]:
    """Needs no workstation; takes `stand` as every measure does."""
    with _data() as data:
        return [*_index(data, max(2, rounds // 2)), *_queries(data, rounds), *_recall(data)]


@contextmanager
def _data() -> Iterator[_Data]:
    corpus = _corpus()
    messages = list(corpus.make_messages(MESSAGES, SEED))
    made = corpus.make_queries(messages, RECALL_QUERIES, SEED + 1)
    queries = {name: [(query.text, query.label) for query in some] for name, some in made.items()}
    with tempfile.TemporaryDirectory(prefix="devbox-bench-") as folder:
        data = _Data(Path(folder) / "store", [message.line for message in messages], queries)
        corpus.write_store(data.root, data.lines)
        yield data


def _corpus() -> ModuleType:
    """The generator of the package's own tests, which is no part of the package."""
    import importlib.util

    place = PACKAGE / "tests" / "search_corpus.py"
    spec = importlib.util.spec_from_file_location("search_corpus", place)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(place)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _index(data: _Data, rounds: int) -> list[Figure]:
    scale = MESSAGES / NAIVE_ROWS
    seconds = take_turns(
        rounds,
        {
            "ours": lambda: _run(data, ["-m", "coditect", "index", "--rebuild", f"--store={data.root}"]),
            "naive": lambda: _insert_one_by_one(data.root / "naive.sqlite", data.lines[:NAIVE_ROWS]),
        },
    )
    again = [
        take_seconds(lambda: _run(data, ["-m", "coditect", "index", f"--store={data.root}"])) for _ in range(rounds)
    ]
    return [
        Figure(
            name="search-index", what=f"`coditect index`, {MESSAGES:,} messages", unit="s", values=seconds["ours"],
            target=GOAL_INDEX_S, baseline=f"an INSERT and a commit for each message ({NAIVE_ROWS:,} of them, scaled)",
            baseline_values=tuple(value * scale for value in seconds["naive"]),
        ),
        Figure(name="search-index-again", what="`coditect index`, nothing new", unit="s", values=tuple(again)),
    ]  # fmt: skip


def _insert_one_by_one(path: Path, lines: Sequence[bytes]) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE VIRTUAL TABLE full_text USING fts5 (text)")
        for line in lines:
            text = str(json.loads(line)["message"]["content"])
            database.execute("INSERT INTO full_text VALUES (?)", (text,))


def _queries(data: _Data, rounds: int) -> list[Figure]:
    """Wall time of whole processes, of all classes alike."""
    script = data.root.parent / "cxq"
    script.write_text(SCRIPT)
    texts = [text for some in data.queries.values() for text, _ in some[:QUERIES]]
    ours = [
        _seconds(data, [str(script), f"--store={data.root}", "--", text])
        for _ in range(max(1, rounds // 3))
        for text in texts
    ]
    scan = [_seconds(data, ["-c", SCAN, str(data.messages), text]) for text in texts[::QUERIES]]
    floor = [_seconds(data, ["-c", "pass"]) for _ in range(3 * rounds)]
    p95 = statistics.quantiles(ours, n=20)[-1]
    return [
        Figure(
            name="search-query", what=f"`cxq`, {MESSAGES:,} messages, the whole process", unit="s", values=tuple(ours),
            target=GOAL_QUERY_S, baseline="json.loads and `in` over every line", baseline_values=tuple(scan),
        ),
        Figure(
            name="search-query-p95", what="the same, 95th percentile", unit="s", values=(p95,), target=GOAL_QUERY_S,
            baseline="Python that does nothing", baseline_values=tuple(floor),
        ),
    ]  # fmt: skip


def _recall(data: _Data) -> list[Figure]:
    done = _run(data, ["-c", RECALL, str(data.root)], stdin=json.dumps(data.queries))
    missed: dict[str, float] = json.loads(done.stdout)
    return [
        Figure(
            name=f"search-missed-{name.replace('_', '-')}", unit="%", values=(100 * share,), target=GOAL_MISSED,
            what=f"queries whose message is not among the first ten: {name.replace('_', ' ')}",
        )
        for name, share in missed.items()
    ]  # fmt: skip


def _seconds(data: _Data, words: Sequence[str]) -> float:
    return take_seconds(lambda: _run(data, words, codes=(0, 1)))


def _run(
    data: _Data, words: Sequence[str], *, stdin: str = "", codes: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """This Python with the package, compiled once as an installed one is; anything but these codes is an error."""
    own = {"PYTHONPATH": str(PACKAGE), "PYTHONPYCACHEPREFIX": str(data.root.parent / "compiled")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | own
    command = [sys.executable, *words]
    done = subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise subprocess.CalledProcessError(done.returncode, command[:3], done.stdout, done.stderr)
    return done


def main() -> None:
    """These figures alone: `python -m bench.framework_search`."""
    for figure in measure_framework_search(None, 5):
        target = "" if figure.target is None else f", target {figure.target:g}"
        print(f"{figure.name}: median {figure.median:.4f} {figure.unit}, best {min(figure.values):.4f}{target}")
        if figure.baseline_median is not None:
            print(f"  {figure.baseline}: {figure.baseline_median:.4f} {figure.unit}, ratio {figure.ratio:.4f}")


if __name__ == "__main__":
    main()
