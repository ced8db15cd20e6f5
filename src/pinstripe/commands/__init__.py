"""The command line: one file per command, each thin: parse, call, show. A command is imported when it is invoked."""
