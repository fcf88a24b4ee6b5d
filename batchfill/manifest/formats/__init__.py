"""One reader for each kind of manifest: CSV, JSONL, YAML.

A *record* is one row as it was written: cells and a line, before anything knows what they mean.
"""
