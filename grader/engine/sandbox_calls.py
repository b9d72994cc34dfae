"""System calls that a submission may not make (Linux, seccomp).

A model needs memory, threads and the files of Python.  It needs no other process, no network,
no signal to somebody else and no change of a file's owner or mode: those fail with EPERM, by
a filter that cannot be taken off again and needs no rights to put on.

Numbers: the kernel's ``unistd.h``; layout of the filter: ``man 2 seccomp``, ``linux/filter.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_NO_NEW_PRIVILEGES, _DIE_WITH_PARENT, _KILL = 38, 1, 9
_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
_X32_BIT = 0x40000000

_ALWAYS_REFUSED: dict[str, tuple[int, int]] = {
    # name: number on x86_64, on aarch64 (-1: there is none)
    "fork": (57, -1),
    "vfork": (58, -1),
    "execve": (59, 221),
    "execveat": (322, 281),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "socket": (41, 198),
    "socketpair": (53, 199),  # one end of it can send to any other socket
    "bind": (49, 200),
    "connect": (42, 203),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # memory that outlives its process, or that no limit counts; also what others have made of it
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # changes of files that Landlock does not know, or knows in new kernels only
    "truncate": (76, 45),
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, -1),
    "fchown": (93, 55),
    "lchown": (94, -1),
    "fchownat": (260, 54),
    "utime": (132, -1),
    "utimes": (235, -1),
    "futimesat": (261, -1),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}
_ABSENT: dict[str, tuple[int, int]] = {
    # what keeps its flags in memory, where a filter cannot look: libc falls back on the older one
    "clone3": (435, 435),
    "openat2": (437, 437),
}
_ON_ITSELF_ONLY: dict[str, tuple[int, int]] = {
    # the first argument is a process: 0 or its own number
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}
_CLONE = (56, 220)
_SECCOMP = (317, 277)
_FCNTL, _IOCTL = (72, 25), (16, 29)
_DISTURB = (8, 15, 1024, 1026)  # F_SETOWN, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
_STEER_OTHERS = (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP, TIOCSTI
_OPEN, _OPENAT = (2, -1), (257, 56)
_TRUNCATE_UNWRITTEN, _TRUNCATE = 0o1003, 0o1000  # O_TRUNC without the right to write
_THREAD = 0x10000
_MMAP, _SHARED = (9, 222), 1  # shared pages are in no limit
_PRCTL = (157, 167)

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _SAY_ABSENT, _END = (
    0x7FFF0000,
    0x00050000 | errno.EPERM,
    0x00050000 | errno.ENOSYS,
    0x80000000,
)
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

Instruction = tuple[int, int, int, int]


def refuse_calls(libc: ctypes.CDLL) -> str | None:
    """Put the filter on this process; None, or why that is not possible.

    Must be called while the process has one thread, by the process that it is meant for.
    """
    if not sys.platform.startswith("linux"):
        return f"{platform.system()} has no seccomp"
    machine = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
    if machine is None:
        return f"no list of system calls for {platform.machine()}"
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return "the kernel does not know no_new_privs"
    program = b"".join(
        struct.pack("=HBBI", *instruction) for instruction in _filter(machine, os.getpid())
    )
    code = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    told_at = ctypes.create_string_buffer(told, len(told))
    # Without this flag older kernels slow the whole process down, for a leak between two
    # parties inside it that do not exist here.
    no_mitigations = 4
    if libc.syscall(_SECCOMP[machine], 1, no_mitigations, told_at) != 0:
        return f"the kernel refused a seccomp filter ({os.strerror(ctypes.get_errno())})"
    return None


def die_with_parent(libc: ctypes.CDLL, parent: int) -> None:
    """Be killed when the judge is: nobody else would end this process then."""
    if sys.platform.startswith("linux"):
        libc.prctl(_DIE_WITH_PARENT, _KILL, 0, 0, 0)
        if os.getppid() != parent:  # it went before the call
            os._exit(1)


def _filter(machine: int, own: int) -> list[Instruction]:
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, (_X86_64, _AARCH64)[machine]),
        (_RETURN, 0, 0, _END),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == 0:
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _SAY_ABSENT)]
    for numbers, answer in ((_ALWAYS_REFUSED, _REFUSE), (_ABSENT, _SAY_ABSENT)):
        for number in (both[machine] for both in numbers.values()):
            if number >= 0:
                code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]
    code += _rule(_CLONE[machine], 0, [(_ANY_BIT, 1, 0, _THREAD)])
    for both in _ON_ITSELF_ONLY.values():
        code += _rule(both[machine], 0, [(_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, own)])
    for both, refused in ((_FCNTL, _DISTURB), (_IOCTL, _STEER_OTHERS)):
        code += _rule(both[machine], 1, _none_of(refused))
    for both, argument in ((_OPEN, 1), (_OPENAT, 2)):
        if both[machine] >= 0:
            truncates = [(_AND, 0, 0, _TRUNCATE_UNWRITTEN), (_EQUAL, 0, 1, _TRUNCATE)]
            code += _rule(both[machine], argument, truncates)
    code += _rule(_MMAP[machine], 3, [(_ANY_BIT, 0, 1, _SHARED)])
    code += _rule(_PRCTL[machine], 0, [(_EQUAL, 0, 1, _DIE_WITH_PARENT)])
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _none_of(values: tuple[int, ...]) -> list[Instruction]:
    """Jump to what follows (the refusal) on one of these values, else over it."""
    last = len(values) - 1
    return [(_EQUAL, last - i, int(i == last), value) for i, value in enumerate(values)]


def _rule(number: int, argument: int, test: list[Instruction]) -> list[Instruction]:
    """For one system call: ``test`` an argument's low half; what it does not skip is refused."""
    load = (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
    block: list[Instruction] = [load, *test, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(block), number), *block]
