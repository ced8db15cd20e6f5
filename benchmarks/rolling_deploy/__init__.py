"""A rolling deploy under load: workers of one version are replaced one by one by those of the next, on one ledger.

`python -m benchmarks.rolling_deploy` does it once. The next version of the project has one job more, one less, and one
by another name; its Pinstripe has a migration more.
"""
