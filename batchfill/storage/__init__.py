"""The batch folder.

The *output store* holds whole files only. The *lock* lets one process write. The *inbox* takes requests of
other processes. A *missing* file is no longer as it was fetched. The *disk* has free space, or not.
"""
