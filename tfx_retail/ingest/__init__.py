"""From files on disk to records: one crop each, with its label and its numbers."""
