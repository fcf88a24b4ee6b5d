"""A run: from the first claim to the last file.

The *engine* runs the stages side by side. The *context* is what stages share. *Run times* are learned from
predictions that ended. The *lookup* asks for one prediction of ours. *Shutdown* is the *stop signal*, which
says how far the run goes, signals of the system, and the exit code; the *deadline* is `--until`. The
*placement* gives whole files their names. The *ledger guard* notices a ledger that is taken away.
"""
