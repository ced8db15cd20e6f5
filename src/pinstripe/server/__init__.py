"""The web server: the application's own pages, Pinstripe's under `/_pinstripe`, and beside them bot and workers."""
