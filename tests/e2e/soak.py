#!/usr/bin/env python3
"""Builds that are killed at random moments, and what is left of them.

    soak.py KILLS CONTEXT [OPTION of cbuild build ...]

First a build shows how long one takes here. Each round starts a build of CONTEXT, kills it after a random time by SIGKILL, alone or with its whole process group, and
waits until no process and no control group of it is left: this program is the reaper of all orphans below it, so none can hide. The mounts
and namespaces that are there must be those from before, and now and then the store is checked. At the end
a build must succeed, clean up after all those before it, and leave a store that passes `cbuild fsck`.

The last line is a summary. Environment: CBUILD, CBUILD_ROOT; SEED, to repeat a run."""
import ctypes
import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60  # seconds until the last process of a killed build must be gone; a loaded machine is slow
CHECK_EVERY = 50

CBUILD, STORE = os.environ['CBUILD'], os.environ['CBUILD_ROOT']


def below(pid):
    """All descendants of a process."""
    found = []
    try:
        for task in os.listdir('/proc/%d/task' % pid):
            with open('/proc/%d/task/%s/children' % (pid, task)) as f:
                for child in f.read().split():
                    found += [int(child)] + below(int(child))
    except OSError:
        pass  # it has gone
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def namespaces():
    """What this process and all that it knows of are in: a namespace lives by a process, a mount or a descriptor."""
    found = set()
    for pid in [os.getpid()] + below(os.getpid()):
        try:
            found.update(os.readlink('/proc/%d/ns/%s' % (pid, name)) for name in os.listdir('/proc/%d/ns' % pid))
        except OSError:
            pass
    return found


def mounts():
    with open('/proc/self/mountinfo') as f:
        return sorted(line.split(' ', 1)[1] for line in f if STORE in line or ' nsfs ' in line)


def groups():
    """Control groups of ours that no build holds: a build locks its own for as long as it lives."""
    found = []
    for top, directories, _ in os.walk('/sys/fs/cgroup'):
        for name in directories:
            path = os.path.join(top, name)
            try:
                if not re.fullmatch('cbuild-[0-9]+-[0-9a-f]{8}', name) or os.stat(path).st_uid != os.getuid():
                    continue
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue  # it has gone
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(path)
            except OSError:
                pass  # another build's
            finally:
                os.close(fd)
    return found


def fail(what):
    print('FAILED: ' + what)
    sys.exit(1)


class Soak:
    def __init__(self, context, options):
        self.context, self.options = context, options
        self.killed, self.finished, self.longest, self.checks = 0, 0, 0.0, 0
        self.takes = 1.0  # seconds of a build

    def start(self, number):
        command = [CBUILD, 'build', '--build-arg', 'NONCE=%s' % number] + self.options + [self.context]
        with open(os.path.join(os.path.dirname(self.context), 'soak.log'), 'w') as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def gone(self, what):
        """Waits until nobody is left; returns the seconds that it took."""
        begin = time.monotonic()
        while True:
            reap()
            left = below(os.getpid())
            if not left:
                break
            if time.monotonic() - begin > PATIENCE:
                fail('%s: processes are left: %s' % (what, subprocess.run(
                    ['ps', '-o', 'pid,ppid,stat,wchan,args', '-p', ','.join(map(str, left))], capture_output=True, text=True).stdout))
            time.sleep(0.005)
        # Those that another build has left are swept by it or by its heir, while we wait.
        while groups():
            if time.monotonic() - begin > PATIENCE:
                fail('%s: control groups are left: %s' % (what, ' '.join(groups()[:10])))
            time.sleep(0.05)
        return time.monotonic() - begin

    def round(self, number):
        begin, build = time.monotonic(), self.start(number)
        time.sleep(random.random() * self.takes)
        whole = random.random() < 0.5
        try:
            if whole:
                os.killpg(build.pid, signal.SIGKILL)
            else:
                os.kill(build.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = build.wait()
        if status == -signal.SIGKILL:
            self.killed += 1
        elif status == 0:
            self.finished += 1
            self.takes = 0.9 * self.takes + 0.1 * min(self.takes, time.monotonic() - begin)
        else:
            fail('round %d ended with %d before it was killed: %s' % (
                number, status, open(os.path.join(os.path.dirname(self.context), 'soak.log')).read()))
        self.longest = max(self.longest, self.gone('round %d, killed %s' % (number, 'with its group' if whole else 'alone')))

    def fsck(self, what):
        done = subprocess.run([CBUILD, 'fsck', '--root', STORE], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            fail('%s: fsck: exit status %d: %s%s' % (what, done.returncode, done.stdout, done.stderr))
        self.checks += 1

    def last(self):
        build = self.start('last')
        if build.wait():
            fail('the last build: exit status %d' % build.returncode)
        self.gone('the last build')
        left = os.listdir(STORE + '/tmp')
        if left:
            fail('temporary files are left: %s' % ' '.join(left[:10]))
        self.fsck('at the end')


def main():
    rounds, soak = int(sys.argv[1]), Soak(sys.argv[2], sys.argv[3:])
    seed = os.environ.get('SEED', str(int(time.time())))
    random.seed(seed)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = namespaces(), mounts()
    begin, number = time.monotonic(), 0
    if soak.start('first').wait():
        fail('the first build failed')
    soak.gone('the first build')
    soak.takes = time.monotonic() - begin
    while soak.killed < rounds:
        number += 1
        soak.round(number)
        if (namespaces(), mounts()) != before:
            fail('round %d: namespaces or mounts are left: %s' % (number, [sorted(namespaces() - before[0]), mounts()]))
        if number % CHECK_EVERY == 0:
            soak.fsck('round %d' % number)
    soak.last()
    print('%d builds in %.0f s, %d killed, %d faster than that; left: 0 processes, 0 mounts, 0 namespaces, 0 control groups, '
          '0 temporary files; the last process went at most %.2f s later; fsck passed %d times; '
          'SEED=%s' % (number, time.monotonic() - begin, soak.killed, soak.finished, soak.longest, soak.checks, seed))


if __name__ == '__main__':
    main()
