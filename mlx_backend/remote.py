"""The model hub, or a mirror of it: what a repository holds, and its files as bytes.

Knows: the hub's client library, what its refusals mean to a person, ranges and redirects.
Does not know: where a model lies on this disk, when to try again.

The client's own file download throws a partial file away when it fails (since its version 2 every attempt
writes a new temporary file), and 60 GB are not fetched twice: so its metadata, addresses, headers and
connections are used, and the bytes are asked for by range. A login token goes to the hub alone, never to a
mirror. Importing the client takes seconds and reads its settings from the environment, hence inside the
functions.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlx_backend.catalogue import HUB
from mlx_backend.errors import DownloadFailed, ModelBroken
from mlx_backend.glm.checkpoint import entries_of
from mlx_backend.manifest import File, Manifest, choose, is_repo, wanted

SILENCE = 20.0  # seconds without a byte after which a connection counts as broken
FIRST_BYTES = 1 << 17  # most headers of a shard fit; one range request instead of two
MAX_HEADER_BYTES = 100_000_000


class Again(DownloadFailed):
    """It may work a little later. after: seconds the hub asked to wait, 0 where it did not say."""

    def __init__(self, kind: str, message: str, after: float = 0.0) -> None:
        super().__init__(kind, message)
        self.after = after


@dataclass(frozen=True)
class Remote:
    """One hub. endpoint: its address; HF_ENDPOINT or the public hub where none is given."""

    endpoint: str = field(default_factory=lambda: os.environ.get("HF_ENDPOINT") or HUB)
    silence: float = SILENCE

    def manifest(self, repo: str, revision: str = "main") -> Manifest:
        """The files of a repository that a model needs, with their checksums, at the commit of now.

        Raises Again or DownloadFailed.
        """
        if not is_repo(repo):
            raise DownloadFailed("missing", f"{repo} is no name of a repository: it must be OWNER/NAME.")
        from huggingface_hub import HfApi

        with self._told(repo):
            api = HfApi(endpoint=self._address(), token=self._token())
            info = api.model_info(repo, revision=revision, files_metadata=True, timeout=self.silence)
        commit = str(info.sha or "")
        if not re.fullmatch(r"[0-9a-f]{40}", commit):
            raise DownloadFailed("unsafe", f"{self._name()} names no commit of {repo}. Nothing was fetched.")
        files = [self._file(repo, commit, sibling) for sibling in info.siblings or []]
        licence = getattr(info.card_data, "license", None) or next(
            (tag.split(":", 1)[1] for tag in map(str, info.tags or []) if tag.startswith("license:")), ""
        )
        return Manifest(repo, commit, choose(files), str(licence), self._address())

    def _file(self, repo: str, commit: str, said: Any) -> File:
        name, lfs = str(said.rfilename), said.lfs
        if lfs is not None:
            return File(name, self._size(lfs.size), sha256=str(lfs.sha256))
        if (said.size is not None and said.blob_id) or not wanted(name):
            return File(name, self._size(said.size or 0), git=str(said.blob_id))
        return self._asked(repo, commit, name)

    def _size(self, said: Any) -> int:
        if not isinstance(said, int):
            raise self._strange(f"{said!r} is no size"[:120])
        return said

    def _asked(self, repo: str, commit: str, name: str) -> File:
        """Size and checksum from the file's own answer: mirrors do not always list them."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(repo, name, revision=commit, endpoint=self._address())
        with self._told(repo):
            found = get_hf_file_metadata(url, token=self._token(), timeout=self.silence)
        etag = found.etag or ""
        return File(name, found.size or 0, **({"sha256": etag} if len(etag) == 64 else {"git": etag}))

    @contextmanager
    def stream(
        self, repo: str, commit: str, name: str, start: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The bytes of a file from `start` to before `end`.

        Yields where they really begin, 0 where ranges are ignored, and the bytes in pieces of any size.
        Raises Again or DownloadFailed, also while the bytes are read.
        """
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        url = hf_hub_url(repo, name, revision=commit, endpoint=self._address())
        # Compressed, the length and the place of a byte would mean something else.
        headers = {**build_hf_headers(token=self._token()), "Accept-Encoding": "identity"}
        if start or end:
            headers["Range"] = f"bytes={start}-{end - 1 if end else ''}"
        with ExitStack() as opened:
            with self._told(repo):
                asked = get_session().stream("GET", url, headers=headers, timeout=self.silence)
                answer = opened.enter_context(asked)
                if answer.status_code >= 400:
                    answer.read()
                hf_raise_for_status(answer)
            at = _begins(answer.status_code, answer.headers.get("Content-Range", ""), start)
            # Outside of _told: what goes wrong with whoever takes the bytes is no fault of the hub.
            yield at, self._pieces(repo, answer)

    def _pieces(self, repo: str, answer: Any) -> Iterator[bytes]:
        with self._told(repo):
            yield from answer.iter_bytes()

    def headers(self, repo: str, revision: str = "main") -> list[dict[str, Any]]:
        """The safetensors header of each weight file, before anything is downloaded: a few hundred kB.

        Raises Again or DownloadFailed.
        """
        manifest = self.manifest(repo, revision)
        weights = sorted(f.name for f in manifest.files if f.name.endswith(".safetensors"))
        return [self._header(repo, manifest.commit, name) for name in weights]

    def _header(self, repo: str, commit: str, name: str) -> dict[str, Any]:
        held = self._first(repo, commit, name, FIRST_BYTES)
        length = struct.unpack("<Q", held[:8])[0] if len(held) >= 8 else 0
        if not 0 < length <= MAX_HEADER_BYTES:
            raise DownloadFailed("damaged", f"{name} of {repo} is no safetensors file.")
        if length + 8 > len(held):
            held = self._first(repo, commit, name, length + 8)
        try:
            return entries_of(held[8 : 8 + length], f"{name} of {repo}")
        except ModelBroken as error:
            raise DownloadFailed("damaged", str(error)) from None

    def _first(self, repo: str, commit: str, name: str, count: int) -> bytes:
        held = bytearray()
        with self.stream(repo, commit, name, end=count) as (_, pieces):
            for piece in pieces:
                held += piece
                if len(held) >= count:
                    break  # the connection is dropped: the rest of the file is not asked for
        return bytes(held[:count])

    # --- what is said and what it means ------------------------------------------------------------------

    def _address(self) -> str:
        return self.endpoint.rstrip("/")

    def _token(self) -> bool | None:
        return None if self._address() == HUB else False

    def _name(self) -> str:
        return "The model hub" if self._address() == HUB else self._address()

    @contextmanager
    def _told(self, repo: str) -> Iterator[None]:
        """Every way the client can fail becomes a sentence. Inside are calls of it only, no code of ours."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except OfflineModeIsEnabled:
            raise DownloadFailed(
                "network", "Downloads are switched off by HF_HUB_OFFLINE. Unset it, then try again."
            ) from None
        except HfHubHTTPError as error:
            raise self._refusal(repo, error.response.status_code, error.response.headers) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Again("network", f"{self._name()} cannot be reached ({_short(error)}).") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._strange(_short(error)) from None

    def _strange(self, why: str) -> Again:
        return Again(
            "busy",
            f"{self._name()} gave an answer that cannot be understood ({why}). "
            "Does this network want a login in the browser first?",
        )

    def _refusal(self, repo: str, status: int, headers: Any) -> DownloadFailed:
        if status == 429 or status >= 500 or status == 408:
            asked = str(headers.get("Retry-After", ""))
            why = "asks to wait" if status == 429 else f"has a fault of its own (error {status})"
            return Again("busy", f"{self._name()} {why}.", float(asked) if asked.isdecimal() else 0.0)
        if status == 416:
            return Again("network", f"{self._name()} does not have the bytes that were asked for.")
        if status == 404 or (status == 401 and headers.get("X-Error-Code") == "RepoNotFound"):
            return DownloadFailed(
                "missing", f"{repo} is not on {self._name()}, or is private. Check the name, or log in there."
            )
        return DownloadFailed(
            "refused",
            f"{self._name()} refuses {repo} (error {status}). If it asks for consent on its page, "
            f"give it there, "
            "log in with `hf auth login`, then try again.",
        )


def _begins(status: int, content_range: str, start: int) -> int:
    """Where the bytes of an answer begin in the file."""
    if status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", content_range)
    if found is None or int(found[1]) not in (0, start):
        raise Again("network", "Other bytes came than were asked for.")
    return int(found[1])


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
