"""How the demo model is made and examined: its world, its lessons, its network, its training.

world, printed, clips, quoted and outside say what there is to see and know; questions and lessons ask about
it; exam holds the questions it is examined with. These need NumPy and Pillow alone. network, batches and
training need torch; export needs MLX.
"""
