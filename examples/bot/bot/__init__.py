"""The application beside the jobs."""
