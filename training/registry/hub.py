"""Pushes a published adapter to the Hugging Face hub."""

from pathlib import Path

from aftercall.errors import AdapterError

#: The judgements, which contain summaries of real conversations.
_KEPT_BACK = "*evaluation.json"


def push(folder: Path, repository: str) -> None:
    """Push an adapter with its manifest and card, without its judgements; a new repository is private.

    Raises AdapterError if the upload fails.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        hub.create_repo(repository, private=True, exist_ok=True)
        hub.upload_folder(
            repo_id=repository,
            folder_path=folder,
            ignore_patterns=[_KEPT_BACK],
            commit_message=f"Adapter {folder.name}",
        )
    # The hub's client documents no exceptions and passes on those of the libraries below it.
    except Exception as error:
        line = str(error).strip().split("\n", maxsplit=1)[0]
        raise AdapterError(
            f"{folder} is registered, but was not pushed to {repository}: {line}. Log in with `hf auth login`, then "
            f"push it with `hf upload {repository} {folder} --exclude '{_KEPT_BACK}' --private`."
        ) from error
