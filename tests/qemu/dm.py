# SPDX-License-Identifier: GPL-2.0-only
#
# Devices of device-mapper by its ioctls, for dmsetup takes longer to start than a
# message or a table takes; and what the kernel logs.

import errno
import fcntl
import mmap
import os
import struct

# struct dm_ioctl: version, data_size, data_start, target_count, open_count, flags,
# event_nr, padding, dev, name, uuid, and some bytes of data
_HEAD = struct.Struct('=3IIIIiIIIQ128s129s7x')
# struct dm_target_spec: start, length, status, next, type
_SPEC = struct.Struct('=QQiI16s')
_SIZE = 4096
_SUSPEND_FLAG, _DATA_OUT = 1 << 1, 1 << 16
_CREATE, _REMOVE, _SUSPEND, _LOAD, _STATUS, _MESSAGE = 3, 4, 6, 9, 12, 14

_control = os.open('/dev/mapper/control', os.O_RDWR)


def _ioctl(command, name, data=b'', targets=0, flags=0):
    """Returns the device number, the flags and what came back behind the head."""
    head = _HEAD.pack(4, 0, 0, _SIZE, _HEAD.size, targets, 0, flags, 0, 0, 0, name.encode(), b'')
    call = bytearray(head + data).ljust(_SIZE, b'\0')
    fcntl.ioctl(_control, 3 << 30 | _HEAD.size << 16 | 0xfd << 8 | command, call)
    head = _HEAD.unpack_from(call)
    return head[10], head[7], bytes(call[head[4]:head[3]])


def load(name, sectors, target):
    """A table of one target, which is in use after a suspend, if it is, and a resume."""
    kind, _, words = target.partition(' ')
    spec = _SPEC.pack(0, sectors, 0, 0, kind.encode())
    _ioctl(_LOAD, name, spec + words.encode() + b'\0', targets=1)


def suspend(name):
    _ioctl(_SUSPEND, name, flags=_SUSPEND_FLAG)


def resume(name):
    _ioctl(_SUSPEND, name)


def create(name, sectors, target):
    """Returns the node."""
    number = _ioctl(_CREATE, name)[0]
    try:
        load(name, sectors, target)
        resume(name)
    except OSError:
        remove(name)
        raise
    return f'/dev/dm-{os.minor(number)}'


def remove(name):
    _ioctl(_REMOVE, name)


def status(name):
    """The words of the status, the mode first."""
    text = _ioctl(_STATUS, name)[2][_SPEC.size:]
    return text.split(b'\0')[0].decode().split()


def message(name, words):
    """Returns the reply, or ''."""
    _, flags, text = _ioctl(_MESSAGE, name, struct.pack('=Q', 0) + words.encode() + b'\0')
    return text.split(b'\0')[0].decode() if flags & _DATA_OUT else ''


class Log:
    """What the kernel has logged since the last look."""

    def __init__(self):
        self.file = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.file, 0, os.SEEK_END)

    def lines(self):
        lines = []
        while True:
            try:
                record = os.read(self.file, 8192).decode()
            except BlockingIOError:
                return lines
            except OSError as error:
                if error.errno != errno.EPIPE:      # records that are gone already
                    raise
            else:
                lines.append(record.partition(';')[2].partition('\n')[0])


class Disk:
    """Direct I/O. What fails gives the name of its errno."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.buffer = memoryview(mmap.mmap(-1, 4 << 20))

    def write(self, offset, data):
        self.buffer[:len(data)] = data
        try:
            os.pwritev(self.file, [self.buffer[:len(data)]], offset)
        except OSError as error:
            return errno.errorcode[error.errno]
        return 'ok'

    def read(self, offset, length):
        try:
            os.preadv(self.file, [self.buffer[:length]], offset)
        except OSError as error:
            return errno.errorcode[error.errno]
        return bytes(self.buffer[:length])

    def close(self):
        os.close(self.file)
