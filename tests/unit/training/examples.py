"""Small examples for the training tests."""

from aftercall.conversation import Conversation, Turn
from training.data.dataset import Example


def make_example(name: str, *references: str, user: str = "my order 17 is late", agent: str = "sorry") -> Example:
    """A conversation of two turns and what people wrote about it."""
    return Example(Conversation(name, (Turn("user", user), Turn("agent", agent))), references)
