"""A double-click, from the first to the last: the real launcher in a home of its own, the real app behind."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle.build import digest
from launching import HOME, PIECES, RECORDER, Index, Mac, make_bundle, until


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def mac(tmp_path: Path, bundle: Path) -> Iterator[Mac]:
    """Whatever a scenario does, the bundle is afterwards what it was."""
    before = digest(bundle)
    index = Index()
    mac = Mac(tmp_path, bundle, index)
    yield mac
    mac.close()
    index.close()
    assert digest(bundle) == before


def opens(address: str) -> bool:
    """Whether an address leads into the window."""
    jar = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
    with opener.open(address, timeout=30) as answer:
        return answer.status == 200 and b"gradio" in answer.read()


@pytest.mark.slow
def test_first_run_second_click_quit_and_a_start_without_network(mac: Mac) -> None:
    mac.shell = ["bash", "--posix"] if shutil.which("bash") else []  # what sh is on a Mac
    assert mac.opened() == 0
    splash = str(mac.support / "splash.html")
    assert mac.calls("open") == [[splash]]
    assert mac.status()["phase"] == '"ready"'
    assert mac.index.served == PIECES
    assert opens(mac.status()["url"].strip('"'))
    assert mac.support.stat().st_mode & 0o777 == 0o700
    # what the app says while it runs is kept nowhere: it could be about a temporary chat
    assert sorted(log.name for log in mac.logs.iterdir()) == ["install.log", "launcher.log"]

    (set_up,) = mac.set_ups()
    environment = mac.support / mac.environments()[0]
    assert set_up["project"] == str(environment / "project")
    assert set_up["UV_PROJECT_ENVIRONMENT"] == str(environment / "venv")
    assert set_up["UV_PYTHON_PREFERENCE"] == "only-managed"
    assert set_up["UV_CACHE_DIR"] == str(mac.caches / "uv")
    assert set_up["UV_PYTHON_INSTALL_DIR"] == str(mac.support / "python")

    first = mac.server()
    assert os.getsid(first) == first  # it lives on whatever happens to the launcher's own group
    assert mac.opened() == 0
    assert mac.server() == first and mac.healthy()
    (script,) = mac.calls("osascript")[-1]
    address = re.fullmatch(r'open location "(http://127\.0\.0\.1:\d+/\?token=[\w-]+)"', script)
    assert address is not None and opens(address[1])

    mac.quit()
    assert not mac.healthy()
    mac.index.left = 0  # no network from here on
    assert mac.opened() == 0
    assert mac.healthy() and mac.server() != first
    assert len(mac.set_ups()) == 1
    assert mac.calls("open")[-1] == [splash]


@pytest.mark.parametrize("shell", [["sh"], ["dash"], ["bash", "--posix"]])
def test_a_network_that_breaks_twice(mac: Mac, shell: list[str]) -> None:
    """In the shells that sh may be; on a Mac it is bash."""
    if not shutil.which(shell[0]):
        pytest.skip(f"no {shell[0]} here")
    mac.shell = shell
    mac.index.left = 3
    assert mac.opened() == 1
    assert mac.status()["kind"] == '"network"'
    assert "it goes on where it stopped" in mac.alert()
    assert "cause: client error" in mac.status()["log"]
    mac.index.left = 2
    assert mac.opened() == 1
    assert mac.index.served == PIECES[:5]
    assert "cause: client error" in (mac.logs / "install.log.1").read_text()  # of the first time
    assert not (mac.support / "launch.lock").is_symlink()


@pytest.mark.slow
def test_after_a_broken_network_a_third_click_brings_only_what_is_missing(mac: Mac) -> None:
    mac.index.left = 5
    assert mac.opened() == 1
    mac.index.left = None
    assert mac.opened() == 0
    assert mac.index.served == PIECES
    assert mac.healthy()


def test_a_click_while_it_is_set_up_shows_the_page_again(mac: Mac) -> None:
    mac.index.gate.clear()
    mac.index.left = 2
    first = mac.click()
    until(mac.set_ups)
    assert mac.opened() == 0
    assert first.poll() is None
    splash = str(mac.support / "splash.html")
    assert mac.calls("open") == [[splash], [splash]]
    assert "already starting" in (mac.logs / "launcher.log").read_text()
    mac.index.gate.set()
    assert mac.ended(first) == 1
    assert len(mac.set_ups()) == 1


def test_progress_is_what_has_arrived(mac: Mac) -> None:
    mac.index.gate.clear()
    first = mac.click()
    until(mac.set_ups)
    until(lambda: "done" in mac.status())
    assert (mac.status()["done"], mac.status()["total"]) == ("0", str(len(PIECES)))
    mac.index.left = 4
    mac.index.gate.set()
    assert mac.ended(first) == 1
    shutil.rmtree(mac.environment["HOME"] + "/Library/Logs/GLM Chat")
    mac.index.gate.clear()
    again = mac.click()
    until(lambda: "done" in mac.status())
    assert mac.status()["done"] == "4"
    mac.index.left = 0
    mac.index.gate.set()
    assert mac.ended(again) == 1


def test_killed_in_the_middle_it_goes_on(mac: Mac) -> None:
    mac.index.gate.clear()
    first = mac.click()
    until(mac.set_ups)
    first.kill()
    assert mac.ended(first) == -9
    assert (mac.support / "launch.lock").readlink() == Path(str(first.pid))
    mac.index.left = 0
    mac.index.gate.set()
    assert mac.opened() == 1
    assert len(mac.set_ups()) == 2
    assert "took over a lock" in (mac.logs / "launcher.log").read_text()


def test_a_logout_in_the_middle_ends_the_download_too(mac: Mac) -> None:
    mac.index.gate.clear()
    first = mac.click()
    until(mac.set_ups)
    first.terminate()
    assert mac.ended(first) == 1
    assert not (mac.support / "launch.lock").is_symlink()
    until(
        lambda: (
            str(mac.home) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        )
    )


@pytest.mark.parametrize("holder", ["another program", "nobody", "no number"])
def test_a_stale_lock_holds_nothing(mac: Mac, holder: str) -> None:
    """A process number is given to somebody else sooner or later."""
    number = {"another program": str(os.getpid()), "nobody": "4194305", "no number": "x y"}[holder]
    mac.support.mkdir(parents=True)
    (mac.support / "launch.lock").symlink_to(number)
    mac.index.left = 0
    assert mac.opened() == 1
    assert len(mac.set_ups()) == 1
    assert not (mac.support / "launch.lock").is_symlink()


def test_too_little_disk_is_said_before_anything_is_brought(mac: Mac) -> None:
    mac.command("df", "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\n"
                      "echo 'map of a disk 1000000 995117 4883 100% /Volumes/My Disk'\n")  # fmt: skip
    assert mac.opened() == 1
    assert mac.status()["kind"] == '"disk"'
    assert "needs 16 MB" in mac.alert() and "5 MB are free" in mac.alert()
    assert (mac.set_ups(), mac.environments()) == ([], [])


def test_a_disk_that_becomes_full(mac: Mac) -> None:
    mac.index.full = True
    assert mac.opened() == 1
    assert mac.status()["kind"] == '"disk"'
    assert "became full" in mac.alert()
    assert "os error 28" in mac.status()["log"]


@pytest.fixture
def small_disk(mac: Mac) -> Iterator[Mac]:
    """The home folder on a disk of its own with three megabytes, where this machine lets us make one."""
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mac.home], capture_output=True)
    if made.returncode:
        pytest.skip("no small disk can be made here: mounting needs rights this machine does not give")
    yield mac
    subprocess.run(["umount", mac.home], check=True)


def test_a_real_disk_with_too_little(small_disk: Mac) -> None:
    assert small_disk.opened() == 1
    assert "3 MB are free" in small_disk.alert()


def test_a_folder_that_cannot_be_written(mac: Mac) -> None:
    (mac.home / "Library").write_text("a file where a folder should be")
    assert mac.opened() == 1
    assert "cannot write into" in mac.alert() and HOME in mac.alert()


def test_another_computer_is_told_so(mac: Mac) -> None:
    mac.command("uname", "#!/bin/sh\necho Darwin x86_64\n")
    assert mac.opened() == 1
    assert "Apple silicon" in mac.alert()
    assert mac.set_ups() == []


def test_the_page_opens_in_the_browser_by_name(mac: Mac) -> None:
    """A developer's .html files may open in an editor."""
    browser = "/Applications/My Browser.app"
    mac.command("osascript", f'{RECORDER}[ "$1" != -l ] || echo "{browser}"\n')
    mac.index.left = 0
    assert mac.opened() == 1
    assert mac.calls("open") == [["-a", browser, str(mac.support / "splash.html")]]


def test_a_log_with_anything_in_it_stays_words(mac: Mac) -> None:
    """The splash page reads its state as a script."""
    hostile = "\"};alert(1)//</script>\\\t\x07 '$(touch /tmp/x)`\n2"
    broken = mac.home / "broken.app"
    shutil.copytree(mac.app, broken)
    uv = broken / "Contents" / "Helpers" / "uv"
    uv.write_text('#!/bin/sh\nprintf %s "$HOSTILE" >&2\nexit 2\n')
    mac.app = broken
    assert mac.opened(HOSTILE=hostile) == 1
    assert mac.status()["kind"] == '"install"'
    assert mac.status()["log"] == r""""\"};alert(1)//\x3c/script>\\""" + "\t" + r''' '$(touch /tmp/x)`\n2"'''


@pytest.mark.slow
def test_an_app_that_does_not_start_says_why(mac: Mac) -> None:
    mac.support.mkdir(parents=True)
    lock = os.open(mac.support / "app.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)  # as of an app that hangs
    try:
        assert mac.opened() == 1
    finally:
        os.close(lock)
    assert mac.status()["kind"] == '"start"'
    assert "It said: GLM Chat is already running" in mac.alert()
    assert (mac.support / mac.environments()[0] / "installed").exists()


@pytest.mark.slow
def test_an_environment_with_holes_is_made_again(mac: Mac) -> None:
    mac.index.left = 8
    assert mac.opened() == 0
    mac.quit()
    environment = mac.support / mac.environments()[0]
    (environment / "project" / "app" / "server.py").unlink()
    assert mac.opened() == 1
    assert mac.status()["kind"] == '"repair"'
    assert mac.opened() == 0
    assert mac.healthy()


@pytest.mark.slow
def test_the_app_is_moved_replaced_and_binned(mac: Mac, tmp_path: Path) -> None:
    """A downloaded app runs from a random read-only place, and an update takes the bundle's place."""
    translocated = tmp_path / "AppTranslocation" / "7C1E" / "d" / mac.app.name
    shutil.copytree(mac.app, translocated)
    original, mac.app = mac.app, translocated
    subprocess.run(["chmod", "-R", "a-w", translocated], check=True)
    assert mac.opened() == 0
    server, old = mac.server(), mac.environments()
    subprocess.run(["chmod", "-R", "u+w", translocated], check=True)
    shutil.rmtree(translocated)
    assert opens(mac.link())  # the page is read from disk only now

    mac.app = original
    assert mac.opened() == 0
    assert (mac.server(), len(mac.set_ups())) == (server, 1)

    newer = tmp_path / "newer" / mac.app.name
    shutil.copytree(original, newer)
    (newer / "Contents" / "Resources" / "build-id").write_text("0123456789abcdef")
    mac.app = newer
    assert mac.opened() == 0
    assert mac.server() == server and "another version" in mac.calls("osascript")[-1][-1]
    mac.quit()
    assert mac.opened() == 0
    assert mac.healthy() and mac.environments() == ["env-0123456789abcdef"] != old
    assert mac.index.served == PIECES  # what the version before had brought is not brought again


@pytest.mark.slow
def test_a_taken_port_and_a_stale_address(mac: Mac) -> None:
    """The app was killed with -9, and somebody else listens now where it did."""
    taken = Index()
    port = int(taken.url.rsplit(":", 1)[1])
    mac.support.mkdir(parents=True)
    (mac.support / "run.json").write_text(f'{{"port": {port}, "owner": "stale"}}')
    assert mac.opened() == 0
    assert mac.running()["port"] != port and mac.healthy()
    taken.close()
