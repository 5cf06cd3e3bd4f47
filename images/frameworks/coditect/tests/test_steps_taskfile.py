"""Task files: what they mean, and that all that is wrong with one is told at once, with its place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps_kit import write_tasks

from coditect.errors import UsageError
from coditect.steps.durations import parse_duration, show_duration
from coditect.steps.taskfile import load_tasks


def problems(folder: Path, text: str) -> list[str]:
    """What is told about a file, without its name."""
    file = write_tasks(folder, text)
    with pytest.raises(UsageError) as caught:
        load_tasks(file)
    told = f"{caught.value.where}: {caught.value}"
    return [line.replace(f"{file}:", "").strip() for line in told.splitlines()]


def test_a_step_has_the_defaults_and_its_own_settings_win(tmp_path: Path) -> None:
    tasks = load_tasks(
        write_tasks(
            tmp_path,
            """
            jobs: 3
            defaults: {timeout: 1h30m, retries: 1, env: {A: 1, B: yes}}
            steps:
              first: {run: [echo, 1.10, on], env: {B: "2"}, cwd: sub}
              second: {shell: "echo a | cat", needs: [first], retries: 0, backoff: 500ms, allow_failure: true}
            """,
        )
    )
    first, second = tasks.steps
    assert tasks.jobs == 3
    assert (first.run, first.env, first.cwd) == (("echo", "1.10", "on"), {"A": "1", "B": "2"}, tmp_path / "sub")
    assert (first.timeout, first.retries, first.allow_failure) == (5400, 1, False)
    assert (second.run, second.needs) == (("/bin/sh", "-e", "-c", "echo a | cat"), ("first",))
    assert (second.cwd, second.retries, second.backoff, second.allow_failure) == (tmp_path, 0, 0.5, True)


def test_all_problems_are_told_at_once_each_with_line_and_column(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        """\
jobs: 0
defalts: {}
steps:
  a: {run: [x], need: [b], needs: [c, zz]}
  a: {run: [x]}
  b: {shell: hi, run: [x], needs: [a], timeout: fast}
  c: {run: [x], needs: [b, b], retries: -1, allow_failure: 1}
  -d: {run: ls -l}
  e: {env: {A: [1]}, run: []}
""",
    )
    assert told == [
        "15 problems",
        "1:7: jobs: a whole number from 1 is expected",
        "2:1: the task file: unknown key 'defalts': did you mean 'defaults'?",
        "4:17: step 'a': unknown key 'need': did you mean 'needs'?",
        "4:36: steps need each other in a circle: a -> c -> b -> a",
        "4:39: step 'a' needs 'zz', which is no step",
        "5:3: steps: 'a' stands twice, first in line 4",
        "6:3: step 'b': exactly one of run: [program, argument] and shell: text is expected",
        "6:49: step 'b': timeout: a length of time is expected, such as 90, 1.5s, 2m or 1h30m",
        "7:28: step 'c': needs 'b' twice",
        "7:41: step 'c': retries: a whole number from 0 is expected",
        "7:60: step 'c': allow_failure: true or false is expected",
        "8:3: step '-d': a name is made of letters, digits, `_`, `-` and `.`, at most 100, the first one no `-` or `.`",
        "8:13: step '-d': run: a list is expected, [a, b] or one `- a` a line",
        "9:16: step 'e': env: A: a text is expected",
        "9:27: step 'e': run: a program is expected",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("steps: [", "1:9: no YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2\n", "2:1: no YAML: but found another document"),
        ("[1, 2]", "1:1: the task file: a mapping is expected"),
        ("jobs: 2", "1:1: there is no `steps:`"),
        ("steps: {}", "1:8: steps: there is none"),
        ("steps: {a: }", "a mapping is expected"),
        ("steps: {a: {run: [x, null]}}", "1:22: step 'a': run: a text is expected"),
        ('steps: {a: {run: ["x\\0"]}}', "1:19: step 'a': run: a zero byte cannot be handed to a program"),
        ("steps: {a: {run: [x], env: {A=B: 1}}}", "1:29: step 'a': env: a name without `=` is expected"),
        ("steps: {a: {run: [x], retries: 1000}}", "1:32: step 'a': retries: at most 100"),
        ("steps: {../a: {run: [x]}}", "1:9: step '../a': a name is made of"),
        ("steps: &s {a: *s}", "unknown key 'a'"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_task_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in "\n".join(problems(tmp_path, text))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    file = tmp_path / "tasks.yaml"
    file.write_bytes(b"steps: \xff\xfe\x00")
    with pytest.raises(UsageError, match="no YAML"):
        load_tasks(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        load_tasks(tmp_path / "none.yaml")
    assert caught.value.where == str(tmp_path / "none.yaml")


@settings(deadline=None)
@given(st.text(alphabet="steps:{}[]abrun, \n-&*!'\"0", max_size=80))
def test_any_text_is_a_task_file_or_a_usage_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text)
    with suppress(UsageError):
        assert load_tasks(file).steps


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("2m", 120), ("1h 30m", 5400), ("250ms", 0.25), ("0.5", 0.5)]
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "2x", "m", "1m2", "nan", "inf", "2m3"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.417, "0.42 s"), (9.14, "9.1 s"), (42.9, "42 s"), (125, "2 m 05 s"), (3725, "1 h 02 m")]
)
def test_lengths_of_time_are_shown_short(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
