"""The night: prepare, submit, follow, collect, recover."""
