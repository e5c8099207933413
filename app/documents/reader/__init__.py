"""The parsers: one small module per family of files, in a child process that imports nothing of the app."""
