"""GLM-4.5V on MLX. Knows nothing of conversations, SQLite, HTTP or Gradio.

These are all the names the app may import from here. None of them imports MLX: that happens in the worker.
"""

from .engine import Engine, EngineLike
from .errors import (
    BackendError,
    BadMedia,
    ContextTooLong,
    EngineStopped,
    ModelBroken,
    ModelMissing,
    OutOfMemory,
)
from .fake import FakeEngine
from .reply import Reply
from .types import (
    Answer,
    Boxed,
    Boxes,
    Done,
    Event,
    Image,
    Message,
    Part,
    Progress,
    Reason,
    Reasoning,
    Request,
    Rethink,
    Role,
    Sampling,
    Stage,
    Stats,
    Status,
    Text,
    ToolCall,
    Video,
)

__all__ = [
    "Answer",
    "BackendError",
    "BadMedia",
    "Boxed",
    "Boxes",
    "ContextTooLong",
    "Done",
    "Engine",
    "EngineLike",
    "EngineStopped",
    "Event",
    "FakeEngine",
    "Image",
    "Message",
    "ModelBroken",
    "ModelMissing",
    "OutOfMemory",
    "Part",
    "Progress",
    "Reason",
    "Reasoning",
    "Reply",
    "Request",
    "Rethink",
    "Role",
    "Sampling",
    "Stage",
    "Stats",
    "Status",
    "Text",
    "ToolCall",
    "Video",
]
