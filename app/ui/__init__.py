"""The Gradio window: layout and event wiring, no logic."""
