"""The engines: what carries tickets for waiting work to workers; see `pinstripe.engine` for what each does."""
