"""A run: from the first claim to the last file.

The *engine* runs the stages side by side. The *context* is what stages touch. A *wakeup* is what a stage
waits for. *Shutdown* is why and how far a run stops; the *deadline* is `--until`. The *run log* is what a
run says. The *placement* gives whole files their names. The *ledger guard* notices a ledger that is taken
away.
"""
