"""Make the rows of the table: each step of a comparison runs in its own process, so that a crash is a row."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from .answering import Answers, read, save
from .building import Reference
from .cases import Case
from .judging import WRONG, verdict

ROOT = Path(__file__).resolve().parents[2]
STEP_S = 600
BACKENDS = ("pytorch", "openvino", "openvino_genai")


@dataclass
class Row:
    """A row of the table: what each backend did with a case.

    Attributes:
        verdicts: by backend.
        note: what the comparison could not ensure.
        is_created: whether transformers can create the model.
        seconds: duration.
    """

    case: Case
    verdicts: dict[str, str] = field(default_factory=dict)
    note: str = ""
    is_created: bool = True
    seconds: float = 0.0

    @property
    def is_wrong(self) -> bool:
        if not self.is_created:
            return not self.case.not_created or self.case.not_created not in self.note
        return any(verdict.startswith(WRONG) for verdict in self.verdicts.values())


class Run(Protocol):
    """Run `python -m MODULE WORDS` with its output in a file; return the exit code, None after a timeout."""

    def __call__(self, module: str, words: list[str], output: IO[bytes], timeout: float) -> int | None: ...


def make(case: Case, run: Run, core: int, keep: Path | None = None, resume: bool = False) -> Row:
    """Build the model of a case, let each backend answer, and compare.

    Args:
        core: the processor core for all processes.
        keep: the directory in which models and answers are kept.
        resume: use the models and answers that are already there.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hforch-zoo-") as scratch:
        top = (Path(scratch) if keep is None else keep) / case.name.replace(" ", "-")
        folder = top / "model"
        folder.mkdir(parents=True, exist_ok=True)
        row = Row(case)
        built = resume and (folder / "reference.json").is_file()
        error = "" if built else _step(run, top / "build.log", [str(core), "build", case.name, str(folder)])
        if error:
            row.is_created = False
            row.note = f"transformers cannot create the model: {error}"
        else:
            reference = Reference(**json.loads((folder / "reference.json").read_text(encoding="utf-8")))
            row.note = reference.remark
            for backend in BACKENDS:
                file = top / f"{backend}.json"
                if not built or not file.is_file():
                    _ask(run, file, core)
                row.verdicts[backend] = verdict(read(file), reference)
    row.seconds = time.monotonic() - started
    return row


def _ask(run: Run, file: Path, core: int) -> None:
    """Write the answers of a backend, or the error of its process, into a file."""
    file.unlink(missing_ok=True)
    error = _step(run, file.with_suffix(".log"), [str(core), "answer", str(file.with_name("model")), file.stem])
    if not file.is_file():
        save(Answers(failed=error or "no result"), file)


def _step(run: Run, log: Path, words: list[str]) -> str:
    """Run a step; return its error, empty if there was none."""
    with log.open("wb") as output:
        code = run("tests.zoo.child", words, output, STEP_S)
    if code is None:
        return f"no result after {STEP_S} s"
    if code < 0:
        return f"the process was terminated by {signal.Signals(-code).name}"
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else f'exit code {code}'}" if code else ""
