"""The shapes of what the HTTP API takes and gives, as its OpenAPI document tells them."""
