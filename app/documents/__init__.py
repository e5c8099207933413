"""Documents: read in a child process, found by their words, quoted with evidence a person can check."""
