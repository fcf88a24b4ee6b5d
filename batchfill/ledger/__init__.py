"""The SQLite file that remembers a batch."""
