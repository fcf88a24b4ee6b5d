"""The version of batchfill."""

__version__ = "0.1.0"
