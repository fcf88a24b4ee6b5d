"""The SQLite file that remembers a batch, and is its queue.

The *ledger* has one method for each event. The *writer* is its one writing connection; a *reader* asks
without a lock. An *import* takes a manifest's rows in. A *selection* is the rows that --retry and --id
mean. A *digest* is the content of a local file, known from earlier. The *file memory* is no ledger: it is
what checks saw of files, in a database of its own.
"""
