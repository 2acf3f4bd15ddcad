"""What a study shows of what its engine says."""

from __future__ import annotations

import io
import re

import pytest

from s2f.study import screen
from s2f.study.screen import Screen

SAID = """\
Building DAG of jobs...
job                count
all                    1
Select jobs to execute...
Execute 1 jobs...
Input Notebook:  notebooks/04_face_code.ipynb
Output Notebook: runs/demo/s0/notebooks/04_face_code.ipynb
[IPKernelApp] WARNING | Kernel is running over TCP without encryption. All communication is sent in plain text.
[IPKernelApp] ERROR | KeyboardInterrupt caught in kernel.
[IPKernelApp] WARNING | Something else.
Executing notebook with kernel: python3
Executing Cell 1---------------------------------------
2772 photographs of 462 people

face code:   0%|          | 0/1500 [00:00<?, ?it/s]
face code:  50%|█████     | 750/1500 [00:50<00:50, 15it/s, g_pixel=0.10]
generator: diversity has been below 0.05 for 200 iterations
face code: 100%|██████████| 1500/1500 [01:40<00:00, 15it/s]
<s2f.report.grids.Grid at 0x7fc04b590510>
<Figure size 1120x352 with 3 Axes>
Ending Cell 1------------------------------------------
[Sun Nov 29 04:18:01 2026]
Finished jobid: 7 (Rule: corpus)
4 of 19 steps (21%) done
error: the table is odd. Mend it.
"""
KEPT = """\
job                count
all                    1
04:18 runs/demo/s0/notebooks/04_face_code.ipynb
[IPKernelApp] WARNING | Something else.
2772 photographs of 462 people
face code:   0%|          | 0/1500 [00:00<?, ?it/s]
generator: diversity has been below 0.05 for 200 iterations
face code: 100%|██████████| 1500/1500 [01:40<00:00, 15it/s]
4 of 19 steps (21%) done
error: the table is odd. Mend it.
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(screen.time, "strftime", lambda pattern: "04:18")
    monkeypatch.setattr(screen.time, "monotonic", lambda: 0.0)
    monkeypatch.setenv("COLUMNS", "40")


def shown(stream):
    whole = io.StringIO()
    to = Screen(stream, whole=whole)
    for line in SAID.splitlines(keepends=True):
        to.show(line)
    assert whole.getvalue() == SAID
    return stream.getvalue()


def test_a_file_gets_what_is_no_plumbing_and_a_bar_a_minute():
    assert shown(io.StringIO()) == KEPT


def test_a_terminal_gets_one_bar_that_is_drawn_over():
    text = shown(Terminal())
    assert "\r\033[Kface code:  50%|█████     | 750/1500 [0\r\033[Kgenerator: " in text  # as wide as the terminal
    seen = re.sub(r"[^\n]*\r\033\[K", "", text)  # what is left to see: a bar goes where a line follows
    assert seen == KEPT.replace("face code:   0%|          | 0/1500 [00:00<?, ?it/s]\n", "")
    assert max(len(line) for line in text.split("\r\033[K") if "50%" in line) == 39


def test_a_bar_of_a_file_comes_again_after_a_while(monkeypatch):
    moments = iter((0.0, 30.0, 61.0))
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(moments))
    stream = io.StringIO()
    to = Screen(stream, whole=io.StringIO())
    for n in (1, 2, 3):
        to.show(f"\rreaders:   {n}%|▏| {n}/100\n")
    assert [line[11] for line in stream.getvalue().splitlines()] == ["1", "3"]
