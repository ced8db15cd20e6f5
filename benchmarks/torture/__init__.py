"""A torture of the queue: workers are killed and stopped while they execute; afterwards the ledger is held to its word.

`python -m benchmarks.torture` does it once, `--times 20` again and again, `--seed` as it was before.
"""
