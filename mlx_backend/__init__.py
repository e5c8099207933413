"""GLM-4.5V on MLX. Knows nothing of conversations, SQLite, HTTP or Gradio."""
