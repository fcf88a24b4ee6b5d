"""The embedded provider: the same HTTP API with a real classical fill behind it, faults on demand, a bill."""

from batchfill.local.faults import Fault, Faults
from batchfill.local.journal import read_bill
from batchfill.local.manner import Manner
from batchfill.local.provider import Provider
from batchfill.local.record import Charge
from batchfill.local.serve import serve

__all__ = ["Charge", "Fault", "Faults", "Manner", "Provider", "read_bill", "serve"]
