"""`python -m batchfill`."""

from batchfill.cli.app import main

main()
