"""Pushes a published adapter to the Hugging Face hub."""

from pathlib import Path
from tempfile import TemporaryDirectory

from aftercall.errors import AdapterError
from training.registry.exporting import export_adapter


def push(folder: Path, repository: str) -> None:
    """Push an adapter as `aftercall adapters export` writes it; a new repository is private.

    Raises AdapterError if the upload fails.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        hub.create_repo(repository, private=True, exist_ok=True)
        with TemporaryDirectory() as parent:
            exported = export_adapter(folder, Path(parent) / folder.name)
            hub.upload_folder(repo_id=repository, folder_path=exported, commit_message=f"Adapter {folder.name}")
    # The hub's client documents no exceptions and passes on those of the libraries below it.
    except Exception as error:
        line = str(error).strip().split("\n", maxsplit=1)[0]
        raise AdapterError(
            f"{folder} is registered, but was not pushed to {repository}: {line}. Log in with `hf auth login`, then "
            f"run `aftercall adapters export {folder.name} --out FOLDER` and `hf upload {repository} FOLDER --private`."
        ) from error
