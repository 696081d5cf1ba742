"""The paths that every jailed process may use besides its own folders and its interpreter: system libraries, harmless devices."""

from __future__ import annotations

from pathlib import Path

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/run/current-system/sw",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
    "/etc/timezone",
    "/var/cache/fontconfig",
)
"""Libraries, programs and the few files of /etc that they read; none of them contains a secret."""

KERNEL = (
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
)
"""What libraries read about the machine: joblib raises and DuckDB aborts when they cannot see their control group."""

_GPU_DEVICES = ("nvidia[0-9]*", "nvidiactl", "nvidia-uvm*", "nvidia-modeset", "nvidia-caps/*", "dri/*", "kfd")
_GPU_FACTS = ("/sys/class/drm", "/sys/class/kfd", "/sys/bus/pci", "/sys/devices/pci*", "/sys/devices/virtual/kfd")


def gpu_devices() -> tuple[Path, ...]:
    """Return the device nodes of this machine's GPUs, for a policy whose worker computes on them."""
    return tuple(sorted(path for pattern in _GPU_DEVICES for path in Path("/dev").glob(pattern)))


def gpu_facts() -> tuple[Path, ...]:
    """Return the folders that GPU libraries read before they open a device."""
    return tuple(path for pattern in _GPU_FACTS for path in Path("/").glob(pattern.lstrip("/")))
