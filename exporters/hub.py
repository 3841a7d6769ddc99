"""A verified bundle to a repository of the Hugging Face Hub (extra `hub`), or of what `HF_ENDPOINT` names instead."""

from __future__ import annotations

import re
from pathlib import Path

from exporters.classes.manifest import read_class_manifest
from exporters.manifest import CARD, MANIFEST, manifest_data, read_manifest, tells_classes, verify_files
from flykd_console.errors import UserError

_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?"


def check_repository(repository: str) -> None:
    """Refuse before the export what cannot be pushed to after it.

    Raises:
        UserError: It is no name of a repository, or the extra is not installed.
    """
    if re.fullmatch(_REPOSITORY, repository) is None:
        raise UserError(
            "is no name of a repository", f"--push {repository}", "Give NAME or OWNER/NAME: letters, digits, - _ ."
        )
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        hint = "Install it: pip install 'flykd-console[hub]'"
        raise UserError("huggingface_hub is not installed", "--push", hint) from None


def push_bundle(folder: Path, repository: str) -> str:
    """Upload a bundle in one commit; a repository that is not there is made, and is private.

    Returns:
        The commit's address.

    Raises:
        UserError: A file is not what the manifest says, or the hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    if tells_classes(manifest_data(folder)):
        classes = read_class_manifest(folder)
        files = classes.files
        message = f"{classes.model} of {classes.run}, seed {classes.seed}"
    else:
        pairs = read_manifest(folder)
        files = pairs.files
        message = f"{pairs.model} of {pairs.run}, seed {', '.join(map(str, pairs.seeds))}"
    verify_files(folder, files)
    hub = HfApi()
    try:
        made = hub.create_repo(repository, private=True, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=[*files, CARD, MANIFEST],
            commit_message=message,
        )
    except LocalTokenNotFoundError:
        raise UserError("nobody is logged in", f"--push {repository}", "Set HF_TOKEN, or: hf auth login") from None
    except HfHubHTTPError as error:
        code = error.response.status_code
        hint = "Check the token and its rights." if code in (401, 403) else "Check the name, or try again later."
        raise UserError(f"the hub refused it (HTTP {code})", f"--push {repository}", hint) from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise UserError(f"the hub could not take it ({reason})", f"--push {repository}", "Try again later.") from None
    except Exception as error:  # the client's transport has classes of its own, which differ by version
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpcore", "requests", "urllib3"):
            raise
        raise UserError(
            f"the hub cannot be reached ({type(error).__name__})", f"--push {repository}", "Check the network."
        ) from None
    return str(commit.commit_url)
