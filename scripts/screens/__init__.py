"""The pictures of the window in the README: what `scripts/make_screenshots` takes them with."""
