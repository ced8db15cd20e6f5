"""Who may see and do what in the dashboard and by the HTTP API."""
