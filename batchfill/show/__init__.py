"""All that is printed. `batchfill.show.live` is imported by itself: it alone loads rich."""

from batchfill.show.check import check_json, check_lines
from batchfill.show.export import export_lines
from batchfill.show.finish import finish_lines
from batchfill.show.plain import Plain
from batchfill.show.plan import plan_lines, question
from batchfill.show.status import status_json, status_lines
from batchfill.show.summary import summary_lines
from batchfill.show.words import Visible, count, duration, money, safe

__all__ = [
    "Plain",
    "Visible",
    "check_json",
    "check_lines",
    "count",
    "duration",
    "export_lines",
    "finish_lines",
    "money",
    "plan_lines",
    "question",
    "safe",
    "status_json",
    "status_lines",
    "summary_lines",
]
