"""The embedded provider: the same HTTP API with a real classical fill behind it, faults on demand, a bill."""

from batchfill.local.bill import Bill
from batchfill.local.faults import Fault, Faults
from batchfill.local.journal import read_bill
from batchfill.local.manner import Manner
from batchfill.local.plan import Plan, read_plan
from batchfill.local.provider import Provider
from batchfill.local.record import Charge
from batchfill.local.serve import serve

__all__ = [
    "Bill",
    "Charge",
    "Fault",
    "Faults",
    "Manner",
    "Plan",
    "Provider",
    "read_bill",
    "read_plan",
    "serve",
]
