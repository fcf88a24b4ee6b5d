"""The morning: one documented JSON, the page that shows it, its server, and the report."""

from batchfill.gallery.report import write_report
from batchfill.gallery.server import serve
from batchfill.gallery.source import Source, Workers

__all__ = ["Source", "Workers", "serve", "write_report"]
