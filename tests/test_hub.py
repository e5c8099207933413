"""Downloads against a real server that speaks the hub's language, with the real client library.

The repository is small and of the true form: a config, a tokenizer, an index and three shards. Every end of a
download is either a model whose every byte is right or an error in words, and nothing half is ever taken for
a model.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from hub_server import (
    COMMIT,
    Hub,
    broken_after,
    longer,
    refused,
    serving,
    silent,
    truncated,
    whole_instead,
    wrong,
)
from hypothesis import given
from hypothesis import strategies as st

from app.config import find_model
from app.places import own_place
from mlx_backend import (
    BackendError,
    Download,
    DownloadFailed,
    Transfer,
    Verification,
    delete_model,
    find_models,
    forget,
    headers,
    hub_cache,
    locate,
    look_at,
)
from mlx_backend.fetch import work
from mlx_backend.manifest import wanted
from mlx_backend.offline import Offline
from mlx_backend.remote import Again, Remote

REPO = "someone/GLM-4.5V-tiny"
SHARDS = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]


def shard(names: list[str], size: int, random_: random.Random) -> bytes:
    header = {
        name: {"dtype": "U8", "shape": [size], "data_offsets": [i * size, (i + 1) * size]}
        for i, name in enumerate(names)
    }
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + random_.randbytes(size * len(names))


def repository(seed: int = 0, size: int = 60_000) -> dict[str, bytes]:
    """What a repository holds, files nobody needs and names nobody should trust included."""
    chance = random.Random(seed)
    weights = {name: shard([f"{i}.a", f"{i}.b"], size, chance) for i, name in enumerate(SHARDS)}
    index = {"weight_map": {f"{i}.{x}": name for i, name in enumerate(SHARDS) for x in "ab"}}
    return {
        "README.md": b"# A model",
        "config.json": json.dumps({"model_type": "glm4v_moe"}).encode(),
        "tokenizer.json": chance.randbytes(5_000),
        "tokenizer_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}",
        "LICENSE": b"MIT",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "training/optimizer.safetensors": b"not needed",
        "pytorch_model.bin": b"not needed",
        **weights,
    }


WANTED = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "LICENSE",
    "model.safetensors.index.json",
    *SHARDS,
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(REPO, repository())) as hub:
        yield hub


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the app itself looks for models; with a cache of the hub's own that is empty."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    return own_place(home)


def job(hub: Hub, place: Path, **more: Any) -> Download:
    settings = {"reserve": 0, "pause": 0.001, "silence": 5.0, "patience": 6, **more}
    return Download(hub.repo, place, endpoint=hub.url, **settings)


def ended(download: Download | Verification) -> Transfer:
    """How it ends, done in this process, for starting one takes seconds. `run` does it in one of its own."""
    last = Transfer()

    def tell(state: Any, **more: Any) -> None:
        nonlocal last
        last = replace(last, state=state, **more)

    work(download.task, tell)
    return last


def run(download: Download | Verification) -> Transfer:
    download.start()
    return download.wait(120)


def assert_whole(hub: Hub, place: Path) -> None:
    folder = place / REPO
    for name in WANTED:
        assert (folder / name).read_bytes() == hub.files[name], name
    assert {path.name for path in folder.iterdir()} == WANTED | {"glm-chat.json"}
    assert [(f.name, f.state, f.size) for f in find_models([place])] == [
        (REPO, "whole", sum(len(hub.files[name]) for name in WANTED))
    ]
    assert find_model(REPO) == folder


def assert_not_taken_as_whole(place: Path) -> None:
    assert [found for found in find_models([place]) if found.state == "whole"] == []
    with pytest.raises(BackendError):
        find_model(REPO)
    for config in place.rglob("config.json"):
        assert look_at(config.parent).state != "whole"


# --- the plain road --------------------------------------------------------------------------------------


def test_a_model_is_fetched_with_all_it_needs_and_nothing_else(hub: Hub, place: Path) -> None:
    done = run(job(hub, place))
    assert (done.state, done.error, done.done) == ("done", "", done.total)
    assert_whole(hub, place)
    found = locate(REPO, [place])
    assert found and (found.licence, found.ours) == ("mit", True)
    known = ("/api/models/", f"/{REPO}/resolve/", "/bytes/")
    assert [path for _, path, _ in hub.asked if not path.startswith(known)] == []  # nothing else is asked
    hub.asked.clear()
    assert run(job(hub, place)).state == "done"
    assert hub.asked == []  # what is here is not asked for again, not even whether it is new


def test_every_file_comes_from_the_commit_that_was_listed(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    resolved = [path for _, path, _ in hub.asked if "/resolve/" in path]
    assert len(resolved) == len(WANTED)
    assert all(f"/resolve/{COMMIT}/" in path for path in resolved)


def test_a_mirror_that_lists_no_checksums_is_asked_for_each(hub: Hub, place: Path) -> None:
    hub.listed = False
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


def test_headers_come_before_anything_is_downloaded(hub: Hub) -> None:
    hub.files[SHARDS[1]] = shard([f"tensor {n:0200}" for n in range(1000)], 10, random.Random(0))  # 300 kB
    held = headers(REPO, hub.url)
    assert set(held[0]) == {"0.a", "0.b"}
    assert len(held[1]) == 1000
    assert held[2]["2.b"]["data_offsets"] == [60_000, 120_000]
    asked = [path for _, path, _ in hub.asked if path.startswith("/api/")]
    assert asked == [f"/api/models/{REPO}/revision/main"]


def test_headers_that_cannot_be_had_are_told(hub: Hub) -> None:
    hub.files[SHARDS[0]] = b"no safetensors file"
    with pytest.raises(DownloadFailed, match=SHARDS[0]):
        headers(REPO, hub.url)
    with pytest.raises(DownloadFailed, match="is not on"):
        headers("someone/else", hub.url)


# --- names and numbers that cannot be believed -----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.safetensors",
        "/tmp/evil.safetensors",
        "..%2fevil.safetensors",
        "a\\..\\evil.safetensors",
        ".evil.safetensors",
        "evil\n.safetensors",
        "sub/evil.safetensors",
        "-evil.safetensors",
        "evil:.safetensors",
    ],
)
def test_a_name_that_leads_elsewhere_is_not_fetched(hub: Hub, place: Path, name: str) -> None:
    hub.files[name] = b"evil"
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)
    assert [path for path in place.parent.rglob("*") if "evil" in path.name] == []


@given(st.text(max_size=30) | st.from_regex(r"[./\\\\a-z]*\.safetensors|LICENSE.*", fullmatch=True))
def test_a_name_that_is_wanted_stays_in_its_folder(name: str) -> None:
    folder = Path("/models/one")
    if wanted(name):
        assert Path(os.path.normpath(folder / name)).parent == folder
        assert name.isprintable() and name.isascii() and "/" not in name and not name.startswith(".")


def test_two_names_that_are_one_file_on_a_mac_are_refused(hub: Hub, place: Path) -> None:
    hub.files["MODEL-00001-of-00003.safetensors"] = b"other"
    done = ended(job(hub, place))
    assert (done.state, done.kind) == ("failed", "unsafe")
    assert "differ only in case" in done.error and hub.downloads() == []


@pytest.mark.parametrize("repo", ["a/../b", "../b", "a/b/c", "/a/b", "a", "a/..", "a/b\n", "~/b", ""])
def test_a_name_that_is_no_repository_is_refused(repo: str, place: Path) -> None:
    with pytest.raises(DownloadFailed, match="OWNER/NAME"):
        Download(repo, place)
    assert not place.exists()


def test_a_repository_without_a_model_is_said(hub: Hub, place: Path) -> None:
    for name in SHARDS:
        del hub.files[name]
    done = ended(job(hub, place))
    assert (done.kind, "safetensors" in done.error) == ("missing", True)
    assert_not_taken_as_whole(place)


def test_a_repository_that_lacks_a_shard_of_its_index_is_no_model(hub: Hub, place: Path) -> None:
    del hub.files[SHARDS[1]]
    done = ended(job(hub, place))
    assert (done.kind, SHARDS[1] in done.error) == ("missing", True)
    assert_not_taken_as_whole(place)


# --- what goes wrong on the way --------------------------------------------------------------------------


def test_a_broken_connection_is_gone_on_with_where_it_broke(hub: Hub, place: Path) -> None:
    hub.faults = {number: broken_after(50_000) for number in (7, 8)}
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)
    spans = [span for path, span in hub.downloads() if path.endswith(SHARDS[0]) and span]
    assert spans and all(int(span[6:-1]) > 0 for span in spans)


def test_a_wrong_file_is_thrown_away_and_fetched_once_more(hub: Hub, place: Path) -> None:
    hub.faults = {8: wrong(1234)}
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)
    assert len(hub.downloads()) == len(WANTED) + 1


def test_a_file_that_is_wrong_twice_is_an_error_that_names_it(hub: Hub, place: Path) -> None:
    hub.claimed[SHARDS[1]] = "ab" * 32
    done = ended(job(hub, place))
    assert (done.state, done.kind) == ("failed", "damaged")
    assert SHARDS[1] in done.error and "thrown away" in done.error
    assert len([1 for path, _ in hub.downloads() if path.endswith(SHARDS[1])]) == 2
    assert_not_taken_as_whole(place)
    assert list(place.rglob(f"{SHARDS[1]}*")) == []


def test_small_files_have_checksums_too(hub: Hub, place: Path) -> None:
    hub.claimed["tokenizer_config.json"] = "ab" * 20
    done = ended(job(hub, place))
    assert (done.kind, "tokenizer_config.json" in done.error) == ("damaged", True)
    assert_not_taken_as_whole(place)


@pytest.mark.parametrize("fault", [longer, truncated(10_000), whole_instead, broken_after(0)])
def test_a_strange_answer_ends_in_a_whole_model(hub: Hub, place: Path, fault: object) -> None:
    hub.faults = {number: fault for number in (7, 9)}  # type: ignore[misc]
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


def test_a_hub_that_ignores_ranges_still_gets_there(hub: Hub, place: Path) -> None:
    hub.ranges = False
    hub.faults = {7: broken_after(100_000), 8: broken_after(110_000)}
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "RepoNotFound", "missing", "is not on"),
        (401, "GatedRepo", "refused", "log in"),
        (403, "", "refused", "refuses"),
        (404, "RepoNotFound", "missing", "is not on"),
        (429, "", "busy", "asks to wait"),
        (500, "", "busy", "fault of its own"),
        (503, "", "busy", "fault of its own"),
    ],
)
def test_a_refusal_is_told(hub: Hub, place: Path, status: int, code: str, kind: str, words: str) -> None:
    hub.status, hub.error_code = status, code
    done = ended(job(hub, place))
    assert (done.state, done.kind) == ("failed", kind)
    assert words in done.error and "Traceback" not in done.error and "\n" not in done.error
    assert_not_taken_as_whole(place)
    hub.status = 0  # what was refused can be tried again
    again = job(hub, place)
    assert ended(again).state == "done"
    assert_whole(hub, place)


def test_a_fault_of_the_hub_in_the_middle_passes(hub: Hub, place: Path) -> None:
    hub.faults = {3: refused(503), 8: refused(429, "0"), 9: refused(500)}
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


def test_no_network_is_told(place: Path) -> None:
    done = run(Download(REPO, place, endpoint="http://127.0.0.1:9", pause=0.001))
    assert (done.state, done.kind) == ("failed", "network")
    assert "cannot be reached" in done.error and "Nothing was fetched" in done.error
    assert_not_taken_as_whole(place)


def test_a_hub_that_falls_silent_is_given_up_in_words(hub: Hub, place: Path) -> None:
    hub.faults = {"*": silent}
    done = ended(job(hub, place, silence=0.2))
    assert (done.state, done.kind) == ("failed", "network")


def test_offline_by_the_persons_own_setting_stays_offline(
    hub: Hub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run(job(hub, place))
    assert (done.kind, "HF_HUB_OFFLINE" in done.error) == ("network", True)
    assert hub.asked == []


def test_a_login_token_never_goes_to_a_mirror(hub: Hub, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert run(job(hub, place)).state == "done"
    assert hub.authorized == []


def test_a_login_token_of_the_hub_does_not_go_to_its_storage(
    hub: Hub, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be were this server the hub itself: the files come from another host."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr("mlx_backend.remote.HUB", hub.url)
    assert ended(job(hub, place)).state == "done"
    assert hub.authorized and not [path for path in hub.authorized if path.startswith("/bytes/")]


def test_a_page_that_wants_a_login_is_no_hub(hub: Hub, place: Path) -> None:
    hub.status, hub.body = 200, b"<html>Welcome to our hotel</html>"
    done = ended(job(hub, place))
    assert (done.kind, "login in the browser" in done.error) == ("busy", True)
    assert_not_taken_as_whole(place)


def test_a_mistake_of_ours_is_no_answer_of_the_hub(hub: Hub) -> None:
    """What goes wrong with whoever takes the bytes keeps its name, and is not tried again."""
    remote = Remote(hub.url)
    commit = remote.manifest(REPO).commit
    with pytest.raises(ValueError, match=r"^ours$"), remote.stream(REPO, commit, "config.json"):
        raise ValueError("ours")


def test_a_size_that_is_no_number_is_told_of_the_hub(hub: Hub) -> None:
    with pytest.raises(Again, match=r"cannot be understood \('many' is no size\)"):
        Remote(hub.url)._size("many")


def test_a_commit_that_is_gone_is_replaced_by_the_one_of_now(hub: Hub, place: Path) -> None:
    """What was checked against the old one, and what was half here, is not taken for the new one's."""
    hub.faults = {9: broken_after(50_000), 10: refused(403)}
    assert ended(job(hub, place)).state == "failed"
    old = dict(hub.files)
    hub.faults, hub.commit, hub.files = (
        {},
        "89ab" * 10,
        {**repository(seed=5), "config.json": old["config.json"]},
    )
    assert all(len(old[name]) == len(hub.files[name]) for name in SHARDS)
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


# --- the disk --------------------------------------------------------------------------------------------


def test_too_little_room_is_told_before_the_first_byte(hub: Hub, place: Path) -> None:
    done = ended(job(hub, place, reserve=1 << 60))
    assert (done.state, done.kind) == ("failed", "disk")
    assert "are free" in done.error and hub.downloads() == []
    assert_not_taken_as_whole(place)


def test_a_disk_that_takes_no_large_files_is_told(hub: Hub, place: Path) -> None:
    """The system's own limit on the size of a file gives the same error as a FAT32 disk."""
    download, (soft, hard) = job(hub, place), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, hard))
    try:
        download.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    done = download.wait(120)
    assert (done.state, done.kind) == ("failed", "disk")
    assert "FAT32" in done.error
    assert_not_taken_as_whole(place)
    assert run(download).state == "done"
    assert_whole(hub, place)


def test_a_disk_that_fills_up_is_told_and_gone_on_with(hub: Hub, place: Path, tmp_path: Path) -> None:
    """On a real file system of 200 kB, made for this in a namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    task = {"do": "download", "repo": REPO, "place": str(disk), "reserve": -(1 << 30), "from": ""}
    task |= {"endpoint": hub.url, "silence": 5.0, "pause": 0.001, "patience": 6}
    fetch = shlex.join([sys.executable, "-P", "-m", "mlx_backend.fetch", json.dumps(task)]) + " < /dev/zero"
    script = f"""
        mount -t tmpfs -o size=200k tmpfs {disk} || exit 77
        {fetch}; find {disk} -name glm-chat.json
        mount -o remount,size=10m {disk}; {fetch}; cp -r {disk}/. {place}
    """
    place.mkdir(parents=True)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("no namespaces here: a small disk cannot be made")
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ends = [line for line in said if line["state"] in ("done", "failed")]
    assert [line["state"] for line in ends] == ["failed", "done"]
    assert ends[0]["error"].startswith("The disk is full.")
    assert "glm-chat.json" not in done.stdout
    assert (place / REPO / SHARDS[2]).read_bytes() == hub.files[SHARDS[2]]


def test_a_folder_that_may_not_be_written_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ended(job(hub, tmp_path / "file" / "models"))
    assert (done.state, done.kind) == ("failed", "disk")
    assert "Traceback" not in done.error


# --- stopped and gone on with ----------------------------------------------------------------------------


def until_sent(hub: Hub, count: int, download: Download) -> None:
    while hub.sent < count and not download.progress.over:
        time.sleep(0.005)


def killed(hub: Hub, place: Path, sent: int, by: signal.Signals) -> Download:
    """A download that has got so many bytes, and then this signal."""
    hub.pace, hub.piece = 0.005, 4096
    download = job(hub, place)
    download.start()
    until_sent(hub, sent, download)
    assert download.pid is not None
    os.kill(download.pid, by)
    return download


def test_a_killed_download_goes_on_where_it_was(hub: Hub, place: Path) -> None:
    download = killed(hub, place, 200_000, signal.SIGKILL)
    stopped = download.wait(30)
    assert (stopped.state, stopped.kind) == ("failed", "stopped")
    assert "signal 9" in stopped.error
    assert_not_taken_as_whole(place)
    half = locate(REPO, [place])
    assert half and half.state == "unfinished" and 0 < half.size < half.total
    hub.asked.clear()
    hub.pace = 0
    assert run(download).state == "done"
    assert_whole(hub, place)
    assert [path for _, path, _ in hub.asked if path.startswith("/api/")] == []  # the list was kept too
    assert any(span for _, span in hub.downloads())


def test_a_process_that_fails_tells_its_code_and_its_last_words(
    hub: Hub, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real failure: Python itself does not come up, with more said than a pipe holds."""
    broken = "import os, sys; sys.stderr.write('x' * 200_000 + '\\nthe library is gone\\n'); "
    (tmp_path / "sitecustomize.py").write_text(f"{broken}sys.stderr.flush(); os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    failed = run(job(hub, place))
    assert (failed.state, failed.kind) == ("failed", "stopped")
    assert failed.error == (
        "Its process failed (exit code 3): the library is gone What was fetched is kept; go on any time."
    )
    with pytest.raises(DownloadFailed, match=r"exit code 3\): the library is gone"):
        headers(REPO, hub.url)


def test_a_process_that_crashes_was_not_stopped_from_outside(hub: Hub, place: Path) -> None:
    assert (
        killed(hub, place, 50_000, signal.SIGSEGV).wait(30).error.startswith("Its process failed (signal 11)")
    )


def test_pause_keeps_and_cancel_throws_away(hub: Hub, place: Path) -> None:
    hub.pace, hub.piece = 0.005, 4096
    download = job(hub, place)
    download.start()
    until_sent(hub, 150_000, download)
    download.pause()
    assert (download.progress.state, download.pid) == ("paused", None)
    kept = locate(REPO, [place])
    assert kept and kept.size > 0
    assert_not_taken_as_whole(place)
    download.resume()
    until_sent(hub, 250_000, download)
    download.cancel()
    assert download.progress.state == "cancelled"
    assert find_models([place]) == []
    assert [path for path in place.rglob("*") if path.is_file()] == []


def test_what_failed_can_be_thrown_away(hub: Hub, place: Path) -> None:
    hub.faults = {8: refused(404)}
    download = job(hub, place)
    assert run(download).state == "failed"
    assert find_models([place]) != []
    download.cancel()
    assert (download.progress.state, find_models([place])) == ("cancelled", [])


def test_cancelling_leaves_a_model_that_was_whole(hub: Hub, place: Path) -> None:
    download = job(hub, place)
    assert run(download).state == "done"
    download.cancel()
    assert_whole(hub, place)


def test_a_download_ends_with_the_process_that_wanted_it(hub: Hub, place: Path) -> None:
    hub.faults = {7: silent}
    code = (
        "import sys, time; from pathlib import Path; from mlx_backend import Download\n"
        f"job = Download({REPO!r}, Path({str(place)!r}), endpoint={hub.url!r}, reserve=0)\n"
        "job.start(); print(job.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    while len(hub.downloads()) < 7:
        time.sleep(0.01)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.01)
    hub.faults = {}
    assert ended(job(hub, place)).state == "done"
    assert_whole(hub, place)


def test_two_at_once_share_one_download(hub: Hub, place: Path) -> None:
    hub.pace = 0.002
    both = [job(hub, place), job(hub, place)]
    for download in both:
        download.start()
    assert [download.wait(120).state for download in both] == ["done", "done"]
    assert_whole(hub, place)
    assert len(hub.downloads()) == len(WANTED)


def test_what_is_being_downloaded_is_not_deleted(hub: Hub, place: Path) -> None:
    hub.faults = {8: silent}
    download = job(hub, place)
    download.start()
    while len(hub.downloads()) < 8:
        time.sleep(0.01)
    with pytest.raises(DownloadFailed, match="is being downloaded now"):
        forget(REPO, place)
    half = locate(REPO, [place])
    assert half is not None
    with pytest.raises(DownloadFailed, match="is being downloaded now"):
        delete_model(half.folder)
    download.cancel()


# --- fifty runs ------------------------------------------------------------------------------------------

PASSING = ["break", "truncate", "wrong", "500", "429", "whole", "longer", "nothing"]


def _fault(kind: str, chance: random.Random) -> object:
    return {
        "break": broken_after(chance.randrange(100_000)),
        "truncate": truncated(chance.randrange(100_000)),
        "wrong": wrong(chance.randrange(100_000)),
        "500": refused(500),
        "429": refused(429, "0"),
        "whole": whole_instead,
        "longer": longer,
        "nothing": broken_after(0),
    }[kind]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_fifty_runs_end_in_a_verified_model_or_a_clear_error(seed: int, place: Path) -> None:
    """Faults at random requests and bytes, the process killed at random bytes; every tenth hub never
    gets well.
    """
    chance = random.Random(seed)
    hopeless = seed % 10 == 9
    with serving(Hub(REPO, repository(seed, 40_000), ranges=chance.random() < 0.8, piece=4096)) as hub:
        for number in chance.sample(range(1, 14), chance.randrange(1, 5)):
            hub.faults[number] = _fault(chance.choice(PASSING), chance)  # type: ignore[assignment]
        if hopeless:
            hub.claimed[chance.choice(SHARDS)] = "ab" * 32
        kills = sorted(chance.randrange(250_000) for _ in range(chance.randrange(3)))
        hub.pace = 0.002 if kills else 0.0
        download = job(hub, place, pause=0.001)
        for count in kills:
            download.start()
            until_sent(hub, count, download)
            if (pid := download.pid) is not None:
                os.kill(pid, signal.SIGKILL)
            if download.wait(60).state != "done":
                assert_not_taken_as_whole(place)
        for _ in range(3):
            if (last := ended(download)).state == "done":
                break
            assert last.error and "Traceback" not in last.error
            assert_not_taken_as_whole(place)
        assert (last.state == "done") is not hopeless
        if hopeless:
            assert last.kind == "damaged"
        else:
            assert_whole(hub, place)
            assert ended(Verification(place / REPO)).state == "done"


# --- what is on the disk ---------------------------------------------------------------------------------


def test_half_a_model_is_not_whole_whatever_is_missing(hub: Hub, place: Path, tmp_path: Path) -> None:
    ended(job(hub, place))
    for name in ["config.json", "tokenizer.json", *SHARDS]:
        for note in (True, False):
            half = tmp_path / "half"
            shutil.copytree(place / REPO, half)
            (half / name).unlink()
            if not note:
                (half / "glm-chat.json").unlink()
            state = "damaged" if note else "incomplete"
            assert (look_at(half).state, look_at(half).missing) == (state, (name,))
            shutil.rmtree(half)


def test_a_shard_cut_short_or_absent_without_an_index_is_noticed(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    folder = place / REPO
    for name in ("glm-chat.json", "model.safetensors.index.json"):
        (folder / name).unlink()
    assert look_at(folder).state == "whole"
    with (folder / SHARDS[0]).open("r+b") as file:
        file.truncate(100_000)
    assert look_at(folder).missing == (SHARDS[0],)
    (folder / SHARDS[0]).unlink()
    assert look_at(folder).missing == (SHARDS[0],)


def test_a_copied_half_is_completed_and_nothing_fetched_twice(hub: Hub, place: Path) -> None:
    folder = place / REPO
    folder.mkdir(parents=True)
    for name in WANTED - {SHARDS[1]}:
        (folder / name).write_bytes(hub.files[name])
    (folder / SHARDS[2]).write_bytes(b"x" * len(hub.files[SHARDS[2]]))  # of the right length, and wrong
    (folder / "mine.txt").write_text("a note of the person")
    assert_not_taken_as_whole(place)
    assert ended(job(hub, place)).state == "done"
    assert sorted(path for path, _ in hub.downloads()) == [f"/bytes/{SHARDS[1]}", f"/bytes/{SHARDS[2]}"]
    assert (folder / "mine.txt").read_text() == "a note of the person"
    (folder / "mine.txt").unlink()
    assert_whole(hub, place)


def test_a_link_into_another_place_is_never_written_through(hub: Hub, place: Path, tmp_path: Path) -> None:
    folder, other = place / REPO, tmp_path / "other.safetensors"
    folder.mkdir(parents=True)
    other.write_bytes(b"somebody else's")
    (folder / SHARDS[0]).symlink_to(other)
    assert ended(job(hub, place)).state == "done"
    assert other.read_bytes() == b"somebody else's"
    assert_whole(hub, place)


def test_a_note_that_cannot_be_believed_makes_no_model(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    note = place / REPO / "glm-chat.json"
    said = json.loads(note.read_text())
    for damage in ("", "[]", "{}", json.dumps({**said, "files": []}), json.dumps({**said, "repo": "../x"})):
        note.write_text(damage)
        assert_not_taken_as_whole(place)


def test_looking_while_a_download_ends_never_fails(hub: Hub, place: Path) -> None:
    """Folders and files are renamed while the window looks: what it sees is half, whole or nothing."""
    hub.pace = 0.001
    downloads = [job(hub, place / str(number)) for number in range(3)]
    for download in downloads:
        download.start()
    states = set()
    while not all(download.progress.over for download in downloads):
        states |= {found.state for number in range(3) for found in find_models([place / str(number)])}
    assert [download.progress.state for download in downloads] == ["done"] * 3
    assert states <= {"unfinished", "whole"}


# --- verify and delete -----------------------------------------------------------------------------------


def test_verify_names_the_damaged_file_and_a_download_repairs_it(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    folder = place / REPO
    good = ended(Verification(folder))
    assert (good.state, good.total) == ("done", sum(len(hub.files[name]) for name in WANTED))
    with (folder / SHARDS[1]).open("r+b") as file:
        file.seek(70_000)
        file.write(b"rotten")
    assert look_at(folder).state == "whole"  # by its size nobody can tell
    bad = ended(Verification(folder))
    assert (bad.state, bad.kind) == ("failed", "damaged")
    assert SHARDS[1] in bad.error and "models download" in bad.error
    assert (look_at(folder).state, look_at(folder).missing) == ("damaged", (SHARDS[1],))
    assert_not_taken_as_whole(place)
    hub.asked.clear()
    assert ended(job(hub, place)).state == "done"
    assert [path for path, _ in hub.downloads()] == [f"/bytes/{SHARDS[1]}"]
    assert_whole(hub, place)


def test_verify_tells_what_is_missing(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    (place / REPO / SHARDS[1]).unlink()
    done = ended(Verification(place / REPO))
    assert done.state == "failed" and SHARDS[1] in done.error
    assert ended(Verification(place / "none")).state == "failed"


def test_verify_says_when_nobody_knows_the_checksums(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    (place / REPO / "glm-chat.json").unlink()
    done = ended(Verification(place / REPO))
    assert done.state == "done" and "No checksums are known" in done.note


def test_delete_frees_what_it_says_and_keeps_what_is_not_its_own(hub: Hub, place: Path) -> None:
    ended(job(hub, place))
    folder = place / REPO
    (folder / "mine.txt").write_text("a note of the person")
    assert delete_model(folder) == sum(len(hub.files[name]) for name in WANTED)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    assert find_models([place]) == []


def test_a_half_download_can_be_deleted(hub: Hub, place: Path) -> None:
    hub.faults = {"*": refused(404)}
    assert ended(job(hub, place)).state == "failed"
    half = locate(REPO, [place])
    assert half and half.state == "unfinished"
    assert delete_model(half.folder) > 0
    assert find_models([place]) == []


def test_a_folder_of_somebody_else_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DownloadFailed, match="by hand"):
        delete_model(tmp_path)
    assert (tmp_path / "config.json").exists()


# --- other roads to a model ------------------------------------------------------------------------------


def snapshot(hub: Hub) -> Path:
    """What the hub's own client leaves in its cache."""
    code = "import sys; from huggingface_hub import snapshot_download; print(snapshot_download(sys.argv[1]))"
    more = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, REPO],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def test_the_cache_of_other_tools_is_used_checked_and_deleted_from(hub: Hub, place: Path) -> None:
    folder = snapshot(hub)
    found = locate(REPO, [place], hub_cache())
    assert found and (found.state, found.cached, found.folder) == ("whole", True, folder)
    assert find_model(REPO) == folder
    assert ended(Verification(folder)).state == "done"
    with (folder / SHARDS[0]).resolve().open("r+b") as file:
        file.seek(50_000)
        file.write(b"rotten")
    bad = ended(Verification(folder))
    assert bad.kind == "damaged" and SHARDS[0] in bad.error
    assert delete_model(folder) >= sum(len(hub.files[name]) for name in WANTED)
    assert find_models([place], hub_cache()) == []


def test_half_a_model_in_that_cache_is_not_taken_as_whole(hub: Hub, place: Path) -> None:
    folder = snapshot(hub)
    (folder / SHARDS[2]).unlink()
    assert [found.state for found in find_models([place], hub_cache())] == ["incomplete"]
    with pytest.raises(BackendError, match=SHARDS[2]):
        find_model(REPO)


@pytest.mark.parametrize("kind", ["ours", "cache", "bare"])
def test_a_model_comes_from_a_folder_without_any_network(
    hub: Hub, place: Path, tmp_path: Path, kind: str
) -> None:
    stick = tmp_path / "stick"
    if kind == "cache":
        source = snapshot(hub)
    else:
        assert ended(job(hub, stick)).state == "done"
        source = stick / REPO
        if kind == "bare":
            (source / "glm-chat.json").unlink()
    hub.status = 500
    shutil.rmtree(tmp_path / "hf" / "none", ignore_errors=True)
    download = Download(REPO, place, offline=source, reserve=0)
    assert ended(download).state == "done"
    for name in WANTED:
        assert (place / REPO / name).read_bytes() == hub.files[name]
    assert not any(path.is_symlink() for path in (place / REPO).iterdir())


def test_checksums_of_a_bare_folder_are_told_while_they_are_computed(
    hub: Hub, place: Path, tmp_path: Path
) -> None:
    """Each step until the last byte of the folder; before the first one is copied."""
    assert ended(job(hub, tmp_path / "stick")).state == "done"
    source = tmp_path / "stick" / REPO
    (source / "glm-chat.json").unlink()
    told: list[tuple[str, int, int]] = []
    found = Offline(source, lambda state, done, total, file: told.append((state, done, total)))
    size = found.manifest(REPO).size
    assert {(state, total) for state, _, total in told} == {("checking", size)}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == size and len(told) >= len(WANTED)
    states: list[str] = []
    work(Download(REPO, place, offline=source, reserve=0).task, lambda state, **more: states.append(state))
    assert states.index("listing") < states.index("checking") < states.index("fetching")


def test_a_damaged_stick_is_noticed(hub: Hub, place: Path, tmp_path: Path) -> None:
    assert ended(job(hub, tmp_path / "stick")).state == "done"
    source = tmp_path / "stick" / REPO
    with (source / SHARDS[1]).open("r+b") as file:
        file.write(b"\x01")
    done = ended(Download(REPO, place, offline=source, reserve=0))
    assert (done.state, done.kind) == ("failed", "damaged")
    assert SHARDS[1] in done.error
    assert_not_taken_as_whole(place)
