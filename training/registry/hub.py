"""A published adapter on the Hugging Face hub. Knows folders; knows no run and no registry."""

from pathlib import Path

from aftercall.errors import AdapterError

#: The judgements, in which summaries of real conversations stand.
_KEPT_BACK = "*evaluation.json"


def push(folder: Path, repository: str) -> None:
    """Push an adapter with its manifest and card, not its judgements, to a repository; a new one is private.

    Raises AdapterError if the hub does not take it.
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
    # The hub's client lets through whatever the libraries below it raise, and names none of them.
    except Exception as error:
        line = str(error).strip().split("\n", maxsplit=1)[0]
        raise AdapterError(
            f"{folder} is whole and registered, but not pushed to {repository}: {line}. Log in with `hf auth login`, "
            f"then `hf upload {repository} {folder} --exclude '{_KEPT_BACK}' --private` pushes it."
        ) from error
