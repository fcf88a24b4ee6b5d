"""The batch folder, and the buckets that rows name.

The *output store* holds whole files only. The *lock* lets one process write. The *inbox* takes requests of
other processes. The *run log* is what a run says. A *missing* file is no longer as it was fetched. The *disk*
has room for what is still to come, or not. The *object store* reads buckets, the *object finder* lists them
to tell what rows name there, and *object copies* are local while work needs them.
"""
