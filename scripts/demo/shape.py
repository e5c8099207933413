"""The sizes of the demo model. Knows numbers alone."""

from tiny_config import Shape

SHAPE = Shape(
    hidden=192,
    inter=512,
    layers=4,
    heads=4,
    kv_heads=2,
    head_dim=64,
    moe_inter=128,
    experts=8,
    experts_per_token=2,
    section=(4, 6, 6),
    rope_theta=100.0,  # wavelengths of 6 to 480 positions: the lengths of its conversations
    vision_depth=5,
    vision_hidden=160,
    vision_heads=5,
    merger_inter=384,
    image_size=224,
    context=8192,
)
