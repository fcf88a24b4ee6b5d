"""Everything that knows HTTP: the calls, the transport, what an answer means, the pace, fetching outputs."""

from batchfill.api.answers import read_prediction
from batchfill.api.client import Service
from batchfill.api.connect import connect
from batchfill.api.downloads import Download, SignatureWanted
from batchfill.api.listing import Listing
from batchfill.api.outputs import Outputs
from batchfill.api.pace import Pace
from batchfill.api.refusals import Call, refusal
from batchfill.api.transport import Transport

__all__ = [
    "Call",
    "Download",
    "Listing",
    "Outputs",
    "Pace",
    "Service",
    "SignatureWanted",
    "Transport",
    "connect",
    "read_prediction",
    "refusal",
]
