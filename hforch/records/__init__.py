"""Types of the files of a run: record.json, the lines of samples.jsonl, and sweep.json.

Each key is declared once, as a field with its type, unit and description. Runs write through these types, which reject
unknown keys. `lenient.py` derives validators for reading from them; `schemas.py` and `docs.py` generate the JSON
Schemas and the tables of docs/metrics.md. `record_files.py` and `sample_lines.py` read the files, and
`record_writer.py` writes them.

The modules with types do not use `from __future__ import annotations`, since pydantic is twice as fast without it.
"""
