"""Lets `python -m pinstripe` do what `pinstripe` does."""

from __future__ import annotations

from pinstripe.commands.main import main

if __name__ == "__main__":
    main()
