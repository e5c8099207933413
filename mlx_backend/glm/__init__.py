"""The model itself: weights, vision, language, and what turns messages and media into its input."""
