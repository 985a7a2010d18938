"""Make the pictures of README.md from a sweep: the terminal's table, and the HTML report in a browser.

python docs/pictures.py DIR --require 'kl_mean<=0.05' --optimize tokens_per_s
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pexpect
from rich._export_format import CONSOLE_SVG_FORMAT as SVG
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))
COLUMNS, WIDTH = 112, 1400
REPORT_HEIGHT, ANSWERS_HEIGHT = 1560, 820


def main() -> int:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    directory, flags = sys.argv[1], sys.argv[2:]
    terminal(["compare", directory, *flags, "--worst", "1"], DOCS / "compare.svg")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        subprocess.run([sys.executable, "-m", "hforch", "report", directory, *flags, "-o", str(page)], check=True)
        screenshots(page)
    return 0


def terminal(words: list[str], picture: Path) -> None:
    """Run hforch at a terminal, and draw what it shows."""
    shown, status = pexpect.run(
        shlex.join([sys.executable, "-m", "hforch", *words]),
        withexitstatus=True,
        timeout=600,
        dimensions=(60, COLUMNS),
    )
    if status not in (0, 3):
        raise SystemExit(shown.decode())
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown.decode().replace("\r\n", "\n").rstrip()))
    title = f"hforch {' '.join([words[0], *words[2:]])}"
    # Without the web fonts: the picture must not load anything.
    console.save_svg(str(picture), title=title, code_format=re.sub(r"@font-face {{.*?}}", "", SVG, flags=re.DOTALL))
    print(f"wrote {picture}")


def screenshots(report: Path) -> None:
    """Take pictures of a report: its top with the charts, and its answers."""
    from browser import browser

    with browser() as opened:
        page = opened.new_page(viewport={"width": WIDTH, "height": REPORT_HEIGHT})
        page.goto(report.as_uri())
        page.wait_for_selector("svg, canvas", state="visible")
        page.wait_for_timeout(1000)
        page.screenshot(path=str(DOCS / "report.png"))
        page.set_viewport_size({"width": WIDTH, "height": ANSWERS_HEIGHT})
        page.evaluate("document.getElementById('answers').scrollIntoView()")
        page.screenshot(path=str(DOCS / "answers.png"))
    print(f"wrote {DOCS / 'report.png'} and {DOCS / 'answers.png'}")


if __name__ == "__main__":
    sys.exit(main())
