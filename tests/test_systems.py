"""Windows and macOS, simulated: what they lack is hidden, every module is imported, a clip and a member are read."""

import subprocess
import sys
from pathlib import Path

import w3action

LACKING = {
    "darwin": {"os": ("sched_getaffinity", "posix_fadvise", "memfd_create", "pidfd_open")},
    "win32": {
        "os": (
            *("fork", "register_at_fork", "forkpty", "pread", "preadv", "pwrite", "sched_getaffinity", "O_CLOEXEC"),
            *("getuid", "geteuid", "fchmod", "killpg", "getpgid", "setsid", "sysconf", "uname", "nice", "mkfifo"),
            *("posix_fadvise", "statvfs", "getloadavg", "memfd_create", "pidfd_open"),
        ),
        "signal": ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGCHLD", "alarm", "setitimer"),
        "": ("fcntl", "resource", "pwd", "grp", "termios", "pty"),
    },
}

# Libraries are imported first, once: how they import themselves on those systems is their own care.
SCRIPT = """
import ast, importlib, os, pkgutil, sys
from pathlib import Path

package, lacking, video = Path(sys.argv[1]), eval(sys.argv[2]), Path(sys.argv[3])
for file in package.rglob("*.py"):
    for line in ast.parse(file.read_text()).body:
        names = [alias.name for alias in line.names] if isinstance(line, ast.Import) else []
        names += [line.module] if isinstance(line, ast.ImportFrom) else []
        for name in names:
            if not name.startswith("w3action"):
                importlib.import_module(name)

def hide_proc(event, args):
    if event == "open" and str(args[0]).startswith("/proc"):
        raise FileNotFoundError(args[0])

def become(system):
    sys.addaudithook(hide_proc)
    sys.platform = system
    for module, names in lacking[system].items():
        for name in names:
            if module:
                vars(sys.modules[module]).pop(name, None)
            else:
                sys.modules[name] = None

def use_everything():
    found = [module.name for module in pkgutil.walk_packages([str(package)], "w3action.")]
    for name in found:
        if not name.endswith("__main__"):
            importlib.import_module(name)

    import numpy, torch
    from w3action.data import Video, open_frames

    def read(opened):
        with open_frames(opened) as frames:
            return frames.read(numpy.arange(frames.count)).frames

    data = video.read_bytes()
    shard = video.with_suffix(".tar")
    shard.write_bytes(bytes(512) + data + bytes(512))
    member = Video(path=shard, label=0, byte_offset=512, num_bytes=len(data))
    alone = read(video)
    assert torch.equal(read(member), alone)
    print(sys.platform, len(found), tuple(alone.shape), flush=True)

wait = os.waitpid
for system in lacking:
    if (child := os.fork()) == 0:
        become(system)
        use_everything()
        break
    assert wait(child, 0)[1] == 0
"""


def test_every_module_is_imported_and_videos_are_read_where_systems_lack_what_linux_has(draw_video, tmp_path):
    video = tmp_path / "clip.mp4"
    video.write_bytes(draw_video("x264.mp4").read_bytes())
    command = [sys.executable, "-c", SCRIPT, str(Path(w3action.__file__).parent), repr(LACKING), str(video)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    printed = [line.split(maxsplit=2) for line in ran.stdout.splitlines()]
    assert [(system, shape) for system, _, shape in printed] == [(system, "(3, 60, 96, 128)") for system in LACKING]
    assert all(int(modules) > 100 for _, modules, _ in printed)
