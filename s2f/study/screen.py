"""What of all that the engine and its notebooks say is shown while a study runs; the whole goes into a file."""

from __future__ import annotations

import re
import shutil
import time
from typing import TextIO

BAR_EVERY_S = 60.0  # of a progress bar in a file, where a line cannot be drawn over
BAR = re.compile(r"\d+%\|")  # as tqdm draws it
BEGUN = re.compile(r"Output Notebook: +(\S.*)")
# What the engine says of itself, papermill of each cell, and a figure or a table where there is only text.
PLUMBING = re.compile(
    r"$|Using workflow specific profile|Assuming unrestricted shared|Building DAG|Using shell: |Provided cores: "
    r"|Rules claiming more|Select jobs to execute|Execute \d+ jobs|Finished jobid: "
    r"|\[\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\]$"
    r"|Input Notebook: |Executing notebook with kernel|Executing Cell \d|Ending Cell \d"
    r"|<\S+( object)? at 0x[0-9a-f]+>$|<Figure size .* Axes>$|<IPython\.\S+ object>$"
    # From ipykernel 7.4 on, of every kernel; these listen to this machine alone, and only to who has their key.
    r"|\[IPKernelApp\] WARNING \| Kernel is running over TCP without encryption"
    # A kernel that is done is interrupted before it is shut down, and may notice.
    r"|\[IPKernelApp\] ERROR \| KeyboardInterrupt caught in kernel"
)


class Screen:
    """Shows each notebook when it begins, one progress bar at a time, and every line that is no plumbing.

    Parameters
    ----------
    stream : text file; on a terminal a bar is drawn over the one before, elsewhere one is written now and then
    whole : text file, gets every line
    """

    def __init__(self, stream: TextIO, *, whole: TextIO) -> None:
        self.stream, self.whole, self.terminal = stream, whole, stream.isatty()
        self.bar, self.drawn_at = "", -BAR_EVERY_S  # the bar that is not followed by a line, and when one was written

    def show(self, line: str) -> None:
        """Take a line, which ends as it was read."""
        self.whole.write(line)
        text = line.strip()
        if BAR.search(text):
            self._draw(text.rpartition("\r")[2])
        elif found := BEGUN.match(text):
            self._write(f"{time.strftime('%H:%M')} {found[1]}")
        elif not PLUMBING.match(text):
            self._write(line.strip("\r\n"))
        self.stream.flush()

    def _draw(self, bar: str) -> None:
        """Of a bar at its end a line stays."""
        now = time.monotonic()
        if "100%|" in bar:
            self._write(bar)
        elif self.terminal:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write(f"\r\033[K{bar[:width]}")
            self.bar = bar
        elif now - self.drawn_at >= BAR_EVERY_S:
            self._write(bar)
            self.drawn_at = now

    def _write(self, text: str) -> None:
        self.stream.write(("\r\033[K" if self.bar else "") + text + "\n")
        self.bar = ""
