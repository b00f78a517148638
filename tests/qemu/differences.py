# SPDX-License-Identifier: GPL-2.0-only
#
# Where the target is meant to differ from QEMU's driver. Documentation/qemu.rst says why.
#
# DIFFERENCES is all that compare puts up with in random sequences. SHOWN has sequences
# that show the differences, QEMU's driver being used without what the oracle otherwise
# does to avoid them.

from operations import checksum, data, initial

NOT_RUNNING = 'error: Block replication is not running'
CANCELLED = 'error: Backup job was cancelled unexpectedly'
IO_ERROR = 'error: I/O error occurred'

# (mode, stage, operation): (QEMU, the target). "-" is anything. The stages are the
# target's, but for a stage done after a stop: it is "stopped", and "used" after the
# view's first write.
DIFFERENCES = {
    ('secondary', 'none', 'failover'): ('ok', NOT_RUNNING),
    ('primary', 'none', 'failover'): ('ok', NOT_RUNNING),
    ('primary', 'none', 'checkpoint'): ('ok', CANCELLED),
    ('secondary', 'running', 'stop'): (CANCELLED, 'ok'),
    ('secondary', 'stopped', 'get_error'): (IO_ERROR, 'none'),
    ('secondary', 'used', 'get_error'): (IO_ERROR, 'none'),
    ('secondary', 'used', 'content disk'): ('-', '-'),
    ('secondary', 'failover', 'get_error'): (IO_ERROR, 'none'),
}


def expected(mode, stage, operation, qemu):
    """What the target is to say where QEMU has said that."""
    theirs, ours = DIFFERENCES.get((mode, stage, operation), ('', ''))
    return ours if theirs and theirs in ('-', qemu) else qemu


def next_stage(stage, operation):
    """The stage after an operation."""
    if operation.startswith('write view') and stage == 'stopped':
        return 'used'
    return {
        ('none', 'start'): 'running',
        ('running', 'failover'): 'failover',
        ('running', 'stop'): 'stopped',
        ('failover', 'wait'): 'done',
    }.get((stage, operation), 'none' if operation == 'new' else stage)


_HALF = 1024    # sectors
_OLD = checksum(initial()[:_HALF * 512])
_VIEW = checksum(data(1, _HALF))
_INGRESS = checksum(data(2, _HALF))
_READ = f'read view 0 {_HALF}'
_READ_DISK = f'read disk 0 {_HALF}'
_WRITE = f'write view 0 {_HALF} 1'
_WRITE_INGRESS = f'write ingress 0 {_HALF} 2'

# name: (mode, [(operation, QEMU, the target)...]). Two of the three may be one.
SHOWN = {
    'stop-drops-the-stores': ('secondary', [
        ('start', 'ok'),
        (_WRITE_INGRESS, 'ok'),
        (_WRITE, 'ok'),
        ('stop', CANCELLED, 'ok'),
        (_READ, _VIEW, _INGRESS),
        ('get_error', IO_ERROR, 'none'),
        (_WRITE, 'ok'),
        (_READ_DISK, _INGRESS, _VIEW),
    ]),
    'get-error-in-failover': ('secondary', [
        ('start', 'ok'),
        (_WRITE, 'ok'),
        ('slow', 'ok'),
        ('failover', 'ok'),
        ('get_error', IO_ERROR, 'none'),
        ('mend', 'ok'),
        ('wait', 'ok'),
        ('get_error', 'none'),
    ]),
    'failover-again': ('secondary', [
        ('start', 'ok'),
        (_WRITE_INGRESS, 'ok'),
        (_WRITE, 'ok'),
        ('break', 'ok'),
        ('failover', 'ok'),
        ('wait', 'ok'),
        ('get_error', IO_ERROR),
        (_READ, _VIEW),
        ('mend', 'ok'),
        ('failover', 'ok'),
        ('wait', 'ok'),
        ('get_error', IO_ERROR, 'none'),
        (_READ, _VIEW),
        (_READ_DISK, _INGRESS, _VIEW),
    ]),
    'restart': ('secondary', [
        ('start', 'ok'),
        (_WRITE_INGRESS, 'ok'),
        (_READ, _OLD),
        ('restart', 'ok'),
        ('start', 'ok', 'error: Block replication is running or done'),
        (_READ, _INGRESS, _OLD),
    ]),
    'ingress-before-start': ('secondary', [
        (_WRITE_INGRESS, 'ok', 'EIO'),
        (_READ_DISK, _INGRESS, _OLD),
    ]),
    'ingress-after-failover': ('secondary', [
        ('start', 'ok'),
        (_WRITE, 'ok'),
        ('failover', 'ok'),
        ('wait', 'ok'),
        (_WRITE_INGRESS, 'ok', 'EIO'),
        (_READ, _INGRESS, _VIEW),
    ]),
    'failover-before-start': ('secondary', [
        ('failover', 'ok', NOT_RUNNING),
        ('get_error', NOT_RUNNING),
    ]),
    'primary-failover-before-start': ('primary', [
        ('failover', 'ok', NOT_RUNNING),
        ('get_error', NOT_RUNNING),
    ]),
    'primary-checkpoint-before-start': ('primary', [
        ('checkpoint', 'ok', CANCELLED),
    ]),
}
