# SPDX-License-Identifier: GPL-2.0-only
#
# Sequences of operations: what they are made of, how they are written down, and how
# one is done to a side, which is QEMU or the target.
#
# A log has one operation a line, and behind the "=" what came of it:
#
#     sequence 17 secondary
#     start = ok
#     write ingress 1200 16 4711 = ok
#     read view 1196 32 = 5d3a0f11
#     content view = 0e6b2a51 ...
#
# Positions and lengths are in sectors; the last number of a write says what it writes.
# Other operations are the messages, and
#
#     wait      until a failover has ended, well or not
#     new       make everything anew on the disk as it is
#     restart   the same, with stores and metadata as they are
#     break     from now on the disk, or replica, fails writes
#     slow      or is slow
#     mend      or is what it was

import random
import zlib

# A bit more than a MiB, so that the last chunk is cut off, and writes of up to
# 256 KiB meet one another.
SECTORS = 2053
PIECE = 128     # of which each has a checksum in the line of a content

_noise = random.Random(1).randbytes(2 << 20)


def data(key, sectors):
    """What a write with this key writes."""
    return _noise[key:key + sectors * 512]


def initial():
    """What a disk has at the beginning."""
    return _noise[-SECTORS * 512:]


def checksum(text):
    return f'{zlib.crc32(text):08x}'


def perform(side, words):
    """Does one operation, and says what came of it in one line."""
    what, *args = words
    if what == 'write':
        face, sector, sectors, key = args[0], *map(int, args[1:])
        return side.write(face, sector * 512, data(key, sectors))
    if what == 'read':
        got = side.read(args[0], int(args[1]) * 512, int(args[2]) * 512)
        return got if isinstance(got, str) else checksum(got)
    if what == 'content':
        got = side.read(args[0], 0, SECTORS * 512)
        if isinstance(got, str):
            return got
        return ' '.join(checksum(got[i:i + PIECE * 512])
                        for i in range(0, len(got), PIECE * 512))
    if what in ('wait', 'new', 'restart', 'break', 'slow', 'mend'):
        return getattr(side, what + '_')()
    return side.message(what)


class Generator:
    """Makes one sequence, which depends on the seed alone."""

    def __init__(self, seed, mode):
        self.random = random.Random(f'{mode} {seed}')
        self.lines = []
        self.recent = [0]

    def add(self, *words):
        self.lines.append(' '.join(map(str, words)))

    def range(self):
        """Often near what was touched before, and short more often than long."""
        r = self.random
        sectors = min(512, int(2 ** r.uniform(0, 9.2)))
        if r.random() < 0.6:
            sector = r.choice(self.recent) + r.randint(-sectors, 64)
        else:
            sector = r.randrange(SECTORS)
        sector = max(0, min(sector, SECTORS - sectors))
        self.recent = self.recent[-8:] + [sector]
        return sector, sectors

    def write(self, face):
        self.add('write', face, *self.range(), self.random.randrange(1 << 19))

    def read(self, face):
        self.add('read', face, *self.range())

    def some(self, low, high, choices):
        """So many operations; choices has the weight of each."""
        for _ in range(self.random.randint(low, high)):
            what, = self.random.choices(list(choices), choices.values())
            what, _, face = what.partition(' ')
            if face:
                getattr(self, what)(face)
            else:
                self.add(what)
            if what == 'checkpoint':
                self.contents()


class Secondary(Generator):
    io = {'write ingress': 30, 'write view': 30, 'read view': 15, 'read ingress': 5}
    messages = {'get_error': 3, 'start': 2}
    wrong = {'failover': 2, 'stop': 2, 'checkpoint': 2}

    def contents(self):
        self.add('content', 'view')
        if not self.merging:
            self.add('content', 'disk')

    def life(self):
        self.merging = False
        self.some(0, 4, {**self.io, 'get_error': 10, **self.wrong})
        self.add('start')
        self.some(8, 40, {**self.io, **self.messages, 'checkpoint': 8})
        self.contents()
        end = self.random.choice(('failover', 'failover', 'stop', ''))
        if not end:
            return end
        self.add(end)
        self.merging = end == 'failover'
        self.contents()
        self.some(0, 12, {**self.io, **self.messages, **self.wrong})
        if self.merging:
            self.add('wait')
            self.merging = False
        self.contents()
        self.some(0, 8, {**self.io, **self.messages, **self.wrong})
        self.contents()
        return end

    def sequence(self):
        # QEMU loses what is written after a stop.
        while self.life() != 'stop' and self.random.random() < 0.4:
            self.add('new')
            self.add('content', 'disk')
        return self.lines


class Primary(Generator):
    io = {'write primary': 30, 'read primary': 5}
    messages = {'get_error': 5, 'start': 2}
    ends = {'failover': 2, 'stop': 2}

    def contents(self):
        self.add('content', 'disk')

    def sequence(self):
        self.some(0, 5, {**self.io, 'get_error': 10, 'checkpoint': 5, **self.ends})
        self.add('start')
        for _ in range(self.random.randint(1, 3)):
            self.some(3, 12, {**self.io, **self.messages, 'checkpoint': 8})
            self.contents()
            self.add('break')
            self.some(0, 5, {**self.io, **self.messages})
            self.add('mend')
        self.contents()
        self.add(self.random.choice(('failover', 'stop')))
        self.some(0, 8, {**self.io, **self.messages, 'checkpoint': 8, **self.ends})
        self.contents()
        return self.lines


MODES = {'secondary': Secondary, 'primary': Primary}


def sequence(seed, mode):
    return MODES[mode](seed, mode).sequence()
