"""The sizes of the demo model. Knows numbers alone."""

from tiny_config import Shape

SHAPE = Shape(
    hidden=192,
    inter=512,
    layers=4,
    heads=6,
    kv_heads=2,
    head_dim=32,
    moe_inter=128,
    experts=8,
    experts_per_token=2,
    section=(2, 3, 3),
    vision_depth=5,
    vision_hidden=160,
    vision_heads=5,
    merger_inter=384,
    image_size=224,
    context=8192,
)
