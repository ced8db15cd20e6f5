"""The HTTP API: what the command line does and shows, as JSON."""
