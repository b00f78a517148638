# SPDX-License-Identifier: GPL-2.0-only
#
# A QEMU without a guest, for its block layer: -M none and a monitor.

import atexit
import json
import socket
import subprocess


class Error(Exception):
    """What QEMU says has gone wrong."""


class Monitor:
    """A connection to a QEMU's monitor."""

    def __init__(self, connection):
        with connection:
            self.file = connection.makefile('rw')
        self.answer()
        self.execute('qmp_capabilities')

    def answer(self):
        """The next thing that it says, but for events."""
        for line in self.file:
            said = json.loads(line)
            if 'event' not in said:
                return said
        raise Error('QEMU has ended')

    def execute(self, command, arguments=None, /, **more):
        json.dump({'execute': command, 'arguments': {**(arguments or {}), **more}}, self.file)
        self.file.write('\n')
        self.file.flush()
        said = self.answer()
        if 'error' in said:
            raise Error(said['error']['desc'])
        return said['return']


class Qemu(Monitor):
    """A QEMU of our own, until quit()."""

    def __init__(self):
        ours, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                ['qemu-system-x86_64', '-M', 'none', '-nodefaults', '-S', '-display', 'none',
                 '-no-user-config', '-chardev', f'socket,fd={its.fileno()},id=qmp',
                 '-mon', 'chardev=qmp,mode=control'],
                pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        super().__init__(ours)

    def quit(self):
        self.execute('quit')
        status = self.process.wait()
        if status:
            raise Error(f'QEMU has ended, status {status}')
