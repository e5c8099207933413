"""The Mac app: what `scripts/build_app` makes `GLM Chat.app` and its zip of."""
