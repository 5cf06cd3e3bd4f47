"""The home as the worst of persons and machines leave it: a desktop comes all the same, and what is wrong is told."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from builder.adapters.engine.client import Engine
from builder.core.labels import LABEL_WORKSPACE
from builder.model import RenderedFile
from tests.engine.boxes import LEVELS, Box, make_box, notes
from tests.engine.conftest import NewWorkstation, Workstation

pytestmark = pytest.mark.engine_26

XFCONF = "~/.config/xfce4/xfconf/xfce-perchannel-xml"
EACH = f"mkdir -p {XFCONF}; for file in /etc/xdg/xfce4/xfconf/xfce-perchannel-xml/*.xml; do"
LENT = "cannot be used: what programs keep there lasts until the next start"
DEFAULTS = "the home could not get the defaults of this image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What is done to the home, as the user, and what is told of it at the next start."""

    id: str
    script: str
    told: tuple[str, ...] = ()


DAMAGES = (
    Damage(
        id="settings cut in half",
        script=f"{EACH} head -c $(($(stat -c %s $file) / 2)) $file >{XFCONF}/${{file##*/}}; done",
    ),
    Damage(id="settings of nothing", script=f"{EACH} : >{XFCONF}/${{file##*/}}; done"),
    Damage(id="settings of noise", script=f"{EACH} head -c 3000 /dev/urandom >{XFCONF}/${{file##*/}}; done"),
    Damage(
        id="settings that nobody may read", script=f"{EACH} :; done; chmod 000 {XFCONF}", told=(f"~/.config {LENT}",)
    ),
    Damage(
        id="launchers and styles of noise",
        script="""for file in ~/.config/xfce4/panel/*/*; do head -c 20 /dev/urandom >$file; done
            mkdir -p ~/.config/gtk-3.0; echo '* { color: ; } @import url("' >~/.config/gtk-3.0/gtk.css
            head -c 9000 /dev/urandom >~/.gtkrc-2.0; chmod 000 ~/.config/xfce4/panel/launcher-4""",
    ),
    Damage(
        id="shells that end and sessions that are none",
        script="""for file in .zshenv .zshrc .xsession .xinitrc; do echo exit 3 >~/$file; done
            for file in .profile .bashrc; do echo 'if then (' >~/$file; done
            mkdir ~/.Xauthority; chmod 000 ~/.Xauthority
            truncate -s 5G ~/.xsession-errors; head -c 9000 /dev/urandom >~/.Xresources""",
    ),
    Damage(
        id="shells that never end", script="for i in .zshenv .zshrc; do echo 'while :; do sleep 9; done' >~/$i; done"
    ),
    Damage(
        id="files in the place of folders",
        script="for name in .config .cache .local .claude; do rm -rf ~/$name; touch ~/$name; done",
        told=(f"~/.cache, ~/.config, ~/.local {LENT}", DEFAULTS),
    ),
    Damage(
        id="links that lead nowhere",
        script="""rm -rf ~/.config ~/.cache ~/.local; ln -s /nowhere ~/.config; ln -s /nowhere ~/.cache
            ln -s loop ~/.local; ln -s .local ~/loop""",
        told=(f"~/.cache, ~/.config, ~/.local {LENT}", DEFAULTS),
    ),
    Damage(
        id="a home that was not made to its end",
        script="rm -rf ~/.local ~/.claude ~/.profile ~/.config/xfce4/panel/launcher-3; : >~/.zshrc",
        told=("the home has 5 default(s) of this image in the place of older or missing ones",),
    ),
    Damage(
        id="a home that nobody may enter",
        script="chmod 000 ~",
        told=("/home/dev belongs to the user id", f"~/.cache, ~/.config, ~/.local {LENT}"),
    ),
)
# What is there is kept in the other volume.
KEEP = """rm -rf ~/projects/kept && mkdir ~/projects/kept &&
    find ~ -mindepth 1 -maxdepth 1 ! -name projects -exec cp -a -t ~/projects/kept {} +"""
MEND = """chmod 750 ~; find ~ -mindepth 1 -maxdepth 1 ! -name projects -exec chmod -R u+rwX {} + 2>/dev/null
    find ~ -mindepth 1 -maxdepth 1 ! -name projects -exec rm -rf {} +
    cp -a ~/projects/kept/. ~ && rm -rf ~/projects/kept"""


def damages() -> Iterator[object]:
    """At the level `locked`, where the same programs meet the same home, what needs help; the rest in the long run."""
    for level in LEVELS:
        for item in DAMAGES:
            marks = [pytest.mark.long] if level == "locked" and not item.told else []
            yield pytest.param(level, item, id=f"{level}-{item.id.replace(' ', '-')}", marks=marks)


@pytest.mark.parametrize(("level", "damage"), [*damages()])
def test_a_damaged_home_has_a_desktop_and_what_is_wrong_is_told(
    boxes: Mapping[str, Box], level: str, damage: Damage
) -> None:
    box = boxes[level]
    kept = box.user(KEEP)
    assert kept.code == 0, kept.stderr
    hurt = box.user(damage.script)
    try:
        assert hurt.code == 0, hurt.stderr
        said = notes(box.restart())
        box.assert_picture()
        assert [text for text in damage.told if text not in said] == []
        assert damage.told or not said, said
    finally:
        mended = box.user(MEND)
        assert mended.code == 0, mended.stderr


# ------------------------------------------------------------------------------------------- full, read-only, foreign


@contextmanager
def small_home(engine: Engine, workstation: Workstation, image: str) -> Iterator[Callable[[str], None]]:
    """A home volume of 2 MB, and a way to run a shell line with more rights than any workstation has, with that volume
    as /mnt. What it is in must run all the time, or the memory that the volume is made of would be given back."""
    api: Any = docker.APIClient(base_url=engine.host.url)  # its types know half of it
    name = workstation.folder.name
    labels = {LABEL_WORKSPACE: str(workstation.folder), "com.docker.compose.project": name}
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}
    api.create_volume(f"{name}_home", driver="local", driver_opts=options, labels=labels)
    mount = {"Type": "volume", "Source": f"{name}_home", "Target": "/mnt", "VolumeOptions": {"NoCopy": True}}
    may = api.create_host_config(cap_add=["SYS_ADMIN"], security_opt=["seccomp=unconfined", "apparmor=unconfined"])
    host = {**may, "Mounts": [mount]}
    holder = api.create_container(image, entrypoint=["sleep", "600"], user="root", host_config=host)["Id"]
    try:
        api.start(holder)

        def run(script: str) -> None:
            done = engine.run(holder, ["sh", "-c", script], user="root")
            assert done.code == 0, done.stderr

        yield run
    finally:
        workstation.ok("down")
        api.remove_container(holder, force=True)
        api.remove_volume(f"{name}_home")


FULL = "/home/dev is full: nothing can be saved there"
READ_ONLY = "/home/dev is read-only: nothing can be saved there"


@pytest.mark.parametrize("level", LEVELS)
def test_a_home_that_is_full_or_read_only_or_somebody_elses_has_a_desktop_and_up_says_so(
    new_workstation: NewWorkstation, engine: Engine, level: str
) -> None:
    workstation = new_workstation(f"small-{level}", f"security: {level}\n")
    workstation.ok("build")
    image = json.loads(workstation.ok("plan", "--json"))["image"]
    with small_home(engine, workstation, image) as run:
        small = make_box(workstation, engine)
        assert notes(small.restart()) == ""

        run("cat /dev/zero >/mnt/fill || :")
        assert notes(small.restart()) == FULL
        small.assert_picture()
        workstation.ok("stop")
        assert FULL in workstation.run("up").stderr

        run("rm /mnt/fill; mount -o remount,ro /mnt")
        assert notes(small.restart()) == READ_ONLY
        small.assert_picture()

        # Of somebody else, and nobody inside can change that.
        run("mount -o remount,rw /mnt; chown 4321:4321 /mnt; mount -o remount,ro /mnt")
        if level == "dev":
            assert READ_ONLY in notes(small.restart())
            small.assert_picture()
        else:
            workstation.ok("stop")
            refused = workstation.run("up")
            assert refused.returncode == 6
            assert "/home/dev belongs to 4321:4321" in refused.stderr

        run("mount -o remount,rw /mnt; chown 1000:1000 /mnt")
        assert "is ready" in workstation.up("--recreate").stdout


# ------------------------------------------------------------------------------------------------- another image

NEXT = """
RUN echo '# of the next image' >>/home/dev/.zshrc; echo '# of the next image' >>/home/dev/.profile; \\
    echo '# of the next image' >>/home/dev/.bashrc; rm /home/dev/.bash_logout; \\
    rm -rf /usr/share/devbox/home; DEVBOX_USER=dev /usr/lib/devbox/configure.d/98-home
"""


@contextmanager
def next_image(engine: Engine, image: str) -> Iterator[str]:
    """`image` with three defaults of another text, and one less."""
    tag = f"devbox-next:{secrets.token_hex(4)}"
    tree = {"Dockerfile": RenderedFile(data=f"FROM {image}\nUSER root\n{NEXT}".encode())}
    engine.build(tree, {}, tag, lambda event: None)
    try:
        yield tag
    finally:
        engine.remove_image(tag, force=True)


@pytest.mark.parametrize("level", LEVELS)
def test_a_home_follows_the_next_image_and_keeps_what_is_the_persons(
    new_workstation: NewWorkstation, engine: Engine, level: str
) -> None:
    workstation = new_workstation(f"homely-{level}", f"security: {level}\nprofile: headless\n")
    workstation.up()
    workstation.inside("sh", "-c", "echo '# mine' >>~/.bashrc; rm ~/.profile")
    first = workstation.container(engine)
    spec = container_of(engine, first.id)
    with next_image(engine, first.image) as image:
        engine.remove(first.id)
        api: Any = docker.APIClient(base_url=engine.host.url)
        second = api.create_container_from_config({**spec, "Image": image}, first.name)["Id"]
        engine.start(second)
        told = engine.run(second, ["/usr/lib/devbox/probe", "wait", "--timeout", "60"], user="").stdout.decode()

        found = {name: read_home(engine, second, name) for name in (".zshrc", ".bashrc", ".bashrc.devbox-new")}
        assert "# of the next image" in found[".zshrc"]
        assert found[".bashrc"].endswith("# mine\n")
        assert "# of the next image" not in found[".bashrc"]
        assert "# of the next image" in found[".bashrc.devbox-new"]
        assert engine.run(second, ["ls", "/home/dev/.profile", "/home/dev/.bash_logout"]).stdout == b""
        assert "~/.bashrc is yours and is kept; the new default is beside it: ~/.bashrc.devbox-new" in told
        owners = engine.run(second, ["find", "/home/dev", "!", "-user", "dev"]).stdout
        assert owners == b""

        # Once: a second start finds nothing to do.
        engine.run(second, ["rm", "/home/dev/.bashrc.devbox-new"], user="dev")
        engine.kill(second)
        engine.wait(second, timeout_s=30)
        engine.start(second)
        told = engine.run(second, ["/usr/lib/devbox/probe", "wait", "--timeout", "60"]).stdout.decode()
        assert "note" not in told
        assert read_home(engine, second, ".bashrc.devbox-new") == ""
        engine.remove(second)


def read_home(engine: Engine, container: str, name: str) -> str:
    return engine.run(container, ["cat", f"/home/dev/{name}"], user="dev").stdout.decode()


def container_of(engine: Engine, container: str) -> dict[str, Any]:
    """What the engine would make the same container from."""
    told = engine.inspect(container)
    return {**told["Config"], "HostConfig": told["HostConfig"]}
