"""Files of an encoder from the model hub, at the pinned revision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from candelabra.backbones.catalogue import Entry

PROBE_SECONDS = 4.0


def download(entry: Entry, folder: Path, report: Callable[[str], None]) -> None:
    from huggingface_hub import constants, get_session, hf_hub_download, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    # The library tries again for 20 s and more where there is no network; one probe of our own tells at once.
    get_session().head(hf_hub_url(entry.repository, "config.json", revision=entry.revision), timeout=PROBE_SECONDS)
    for file in entry.files:
        report(f"{entry.name}: {file} from the hub")
        hf_hub_download(entry.repository, file, revision=entry.revision, local_dir=folder, etag_timeout=PROBE_SECONDS)
