"""What the HTTP API does, by what it is about: one module for each tag of its OpenAPI document."""
