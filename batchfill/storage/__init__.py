"""The batch folder.

The *output store* holds whole files only. The *lock* lets one process write. The *inbox* takes requests of
other processes. The *run log* is what a run says. A *missing* file is no longer as it was fetched. The *disk*
has room for what is still to come, or not.
"""
