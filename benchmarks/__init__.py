"""How fast Pinstripe is: `python -m benchmarks` measures it here and now, and prints one table."""
