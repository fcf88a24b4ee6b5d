"""What a notebook shows of a batch.

A *run display* is the bar of a run below its cell. A *batch view* is the state of a batch, or how a run
ended, with a few of its pictures. Both are HTML, in which every text of a manifest or a service is escaped.
"""
