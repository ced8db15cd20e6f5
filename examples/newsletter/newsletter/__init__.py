"""The example application: each tenant writes newsletters, and its subscribers get them by e-mail."""
