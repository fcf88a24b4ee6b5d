"""A run: from the first claim to the last file.

The *engine* runs the stages side by side. The *context* is what stages share: what they touch, the *stop
signal* that says how far the run goes, and the *wakeup* that a stage waits for. *Run times* are learned from
predictions that ended. *Shutdown* is signals and the exit code; the *deadline* is `--until`. The *run log*
is what a run says. The *placement* gives whole files their names. The *ledger guard* notices a ledger that is
taken away.
"""
