"""What the command line, the HTTP API and the dashboard show: looked up once, in the same words and the same JSON."""
