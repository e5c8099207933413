"""The product around the model: conversations, turns, the server and the window."""
