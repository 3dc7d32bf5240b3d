"""The sentence for a model that the engine would answer wrongly with, or not at all."""

from aftercall.errors import ModelError


def unsupported(what: str) -> ModelError:
    """The error to raise; `what` is of the model, say "its layers make no attention call"."""
    return ModelError(f"The engine cannot serve this model: {what}. Use another base model, such as Llama or Phi.")
