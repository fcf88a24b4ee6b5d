"""Finishing: what the service sent becomes the file that is wanted, here or by a cluster.

A *recipe* is all that a row says of it. A *finisher* has it carried out: by processes of this machine, or,
where all files of a row are objects of buckets, by the workers of a cluster.
"""
