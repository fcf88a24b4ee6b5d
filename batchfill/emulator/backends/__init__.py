"""What makes the pictures of predictions.

A *classical fill* runs in threads of this process. A *container pool* holds own model servers: each
*container* speaks Cog's API and has *slots*, as many runs as it takes at once. A *turn* is the place of a
prediction in the queue; each *sender* has one line of it. An *answer* is what a container made of a run.
"""
