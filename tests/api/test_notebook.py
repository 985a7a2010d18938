"""The Python API in a notebook, executed by a real kernel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from command_line import ROOT

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.processes

EXECUTE = """
import json, os, signal, sys, threading
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

notebook = new_notebook(cells=[new_code_cell(source) for source in json.load(sys.stdin)])
client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True)

def interrupt_once_it_runs(cell, cell_index):
    def wait():
        if os.path.exists("slow/samples.jsonl"):
            os.kill(client.km.provisioner.pid, signal.SIGINT)
        else:
            threading.Timer(0.2, wait).start()
    if "directory='slow'" in cell.source:
        wait()

client.on_cell_start = interrupt_once_it_runs
client.execute()
json.dump([cell.outputs for cell in notebook.cells], sys.stdout)
"""
CELLS = {
    "import": "import hforch\nllm = hforch.load_llm(backend='fake', generation={'max_new_tokens': 3})",
    "llm": "llm",
    "await": "len((await llm.ainvoke('a')).split())",
    "run": "result = hforch.run(backend='fake', inputs=['What is $x$?', '<b>'], directory='run')\nresult",
    "run twice": "hforch.run(backend='fake', inputs=['a'], directory='run')",
    "sweep": "found = hforch.sweep(backend='fake', precision=['fp32', 'int8'], inputs=['a'])\nfound",
    "row": "hforch.compare(found).rows[0]",
    "a call's error": "def call():\n    llm.invoke('a', max_tokens=3)\ncall()",
    "full error": "%env HYDRA_FULL_ERROR=1\ncall()",
    "interrupt": (
        "hforch.run('backend.token_s=0.2', 'generation.ignore_eos=true', 'runtime.warmup=0', backend='fake',"
        " generation={'max_new_tokens': 500}, inputs=['a'], directory='slow')"
    ),
    "its record": "import json\njson.load(open('slow/record.json'))['status']",
    "after it": "len(llm.invoke('a').split())",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The outputs of the notebook's cells."""
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        input=json.dumps(list(CELLS.values())),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path_factory.mktemp("notebook"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return dict(zip(CELLS, json.loads(done.stdout), strict=True))


def text_of(outputs: list[dict[str, Any]]) -> str:
    """Return the text of a cell's result, which must not be an error."""
    assert all(output["output_type"] != "error" for output in outputs), outputs
    return str(outputs[-1]["data"]["text/plain"])


def error_of(outputs: list[dict[str, Any]]) -> str:
    """Return the traceback of a cell without its colors."""
    assert outputs[-1]["output_type"] == "error"
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(outputs[-1]["traceback"]))


def test_an_llm_is_one_short_line(outputs: Any) -> None:
    assert text_of(outputs["llm"]) == "EngineLLM(model='fake', max_new_tokens=3)"
    assert text_of(outputs["await"]) == "3"


def test_loading_a_model_shows_its_progress(outputs: Any) -> None:
    assert "load: SmolLM2" in "".join(output["text"] for output in outputs["import"])


def test_results_are_tables_whose_text_is_not_typeset(outputs: Any) -> None:
    page = outputs["run"][-1]["data"]["text/html"]
    assert "What is $x$?" in page and "mathjax_ignore" in page and "&lt;b&gt;" in page
    progress = "".join(output["text"] for output in outputs["run"][:-1])
    assert "2/2" in progress and "generate: 100%" in progress
    assert "<table>" in outputs["sweep"][-1]["data"]["text/html"]


def test_results_without_html_are_short(outputs: Any) -> None:
    assert text_of(outputs["sweep"]).startswith("SweepResult(2 jobs; baseline: 0; results: ")
    assert text_of(outputs["row"]).startswith("Row('") and len(text_of(outputs["row"])) < 1000


def test_an_error_shows_only_the_lines_of_the_notebook(outputs: Any) -> None:
    told = error_of(outputs["a call's error"])
    assert "----> 3 call()" in told and "----> 2     llm.invoke('a', max_tokens=3)" in told
    assert "Did you mean max_new_tokens?" in told
    assert "File " not in told
    assert "hforch/generation/llm.py" in error_of(outputs["full error"])


def test_a_directory_with_results_is_an_error_that_names_the_argument(outputs: Any) -> None:
    told = error_of(outputs["run twice"])
    assert "ConfigError: directory: run contains the results of an earlier run" in told
    assert "to overwrite it: force=True" in told and "--force" not in told


def test_an_interrupted_cell_names_the_command_that_continues_it(outputs: Any) -> None:
    told = error_of(outputs["interrupt"])
    assert re.search(r"KeyboardInterrupt: interrupted; to continue: hforch resume \S*slow$", told)
    assert text_of(outputs["its record"]) == "'interrupted'"
    assert text_of(outputs["after it"]) == "3"
