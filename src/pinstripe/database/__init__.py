"""The `database` service: an application's tables, kept to the tenant of the workspace. Imported when first used."""
