"""Types of what a run leaves behind: record.json, the lines of samples.jsonl, and sweep.json.

A key stands once, as a field of a type: with its type, and its meaning and unit as the description. Runs write through
these types, which take no other keys; `lenient.py` derives from them what reads records; `schemas.py` and `docs.py`
make the JSON Schemas and the tables of docs/metrics.md of them.
"""
