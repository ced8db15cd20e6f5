"""The embedded ledger: one SQLite file that several processes of one host share."""
