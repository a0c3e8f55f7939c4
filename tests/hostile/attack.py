#!/usr/bin/env python3
"""Attacks: what a stranger's Buildfile, context, archive, image, registry or program could try.

    attack.py WORKDIR TABLE...

Around every attack stand sentinels: a tree that anybody may write, outside of everything that a build has to do with. Its
files, modes, owners and times must be the same after each row, nothing may have been added, and the word that its files
hold must be neither in the output nor in what was built. After all rows, the layers of the base image in the store, the
program itself, the kernel's settings, host name and mounts must be unchanged, and no process may be left.

A table has the form of those in e2e/bad_input. A row is "=== name", then lines "key: value":

    cve:    the vulnerability of another builder or runtime that the row is about
    run:    the command for sh; without it: cbuild build --progress=plain -o type=tar,dest=$OUT .
    exit:   its exit status, or several; without it: 0
    needs:  root or user

and sections: setup (commands), Buildfile, says (each line must be in the output), never (none of these may be), check
(commands that must succeed afterwards; $OUT is the result as a tar). Known names: $REG, $OUTSIDE, $OUT, $HERE; in Buildfiles
@REG@, @OUTSIDE@. Every "deny" of a Buildfile counts as an attack of its own, as does each archive of archives.py.

Environment: ONLY=part of the names of the rows to run; SHOW=1: print what they said."""
import ctypes
import hashlib
import os
import random
import shutil
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'e2e', 'bad_input'), os.path.join(here, '..', 'e2e')]
import drive as rows  # noqa: E402  (that of bad_input, which reads the tables)
import soak  # noqa: E402
from archives import ATTACKS, EITHER, HARMLESS  # noqa: E402
from images import Registry  # noqa: E402

TIMEOUT = 120
BUILD = 'cbuild build --progress=plain -o type=tar,dest=$OUT .'


def row_of(name, exits, buildfile, says='', **sections):
    row = rows.Row('archives.py', 0, name)
    row.keys['exit'] = exits
    row.sections = {'Buildfile': buildfile, 'says': says, **sections}
    return row


def exits(outcome):
    return {HARMLESS: '0', EITHER: '0 1'}.get(outcome, '1')


def archive_rows():
    for at, (name, _, as_layer, as_add) in enumerate(ATTACKS):
        if as_layer is not None:
            yield row_of('layer: ' + name, exits(as_layer), 'FROM @REG@/attack%d\nRUN true\n' % at, as_layer.lstrip('?'))
        if as_add is not None:
            yield row_of('ADD: ' + name, exits(as_add),
                         'FROM @REG@/base\nADD a.tar /\nRUN true\n', as_add.lstrip('?'),
                         setup='python3 "$HERE/archives_write.py" %d "$OUTSIDE" >a.tar\n' % at)


def facts(top):
    """What a tree is: everything but access times."""
    found = {}
    for where, directories, files in os.walk(top):
        for name in [''] + directories + files:
            path = os.path.join(where, name) if name else where
            st = os.lstat(path)
            content = ''
            if stat.S_ISREG(st.st_mode) and st.st_size < 1 << 26:
                with open(path, 'rb') as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            elif stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, top)] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_nlink, st.st_rdev,
                                                 content, tuple(sorted(os.listxattr(path, follow_symlinks=False))))
    return found


def changes(before, after):
    return ['%s: was %s, is %s' % (name, before.get(name), after.get(name)) for name in sorted(set(before) | set(after))
            if before.get(name) != after.get(name)]


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return None


class Driver:
    def __init__(self, work):
        self.work, self.store = work, os.environ['CBUILD_ROOT']
        self.word = 'sentinel%016x' % random.getrandbits(64)
        self.outside = work + '/outside'
        self.make_sentinels()
        self.probe = work + '/probe'
        subprocess.run(['cc', '-static', '-pthread', '-O1', '-D_GNU_SOURCE', '-o', self.probe, here + '/probe.c'], check=True)
        self.registry = Registry(self.probe, self.outside)
        os.makedirs(work + '/bin')
        os.symlink(os.environ['CBUILD'], work + '/bin/cbuild')

    def make_sentinels(self):
        for name in ('', '/dir', '/dir/sub', '/b'):
            os.mkdir(self.outside + name)
        for name in ('/victim', '/passwd', '/dir/victim', '/dir/hosts', '/dir/resolv.conf', '/dir/passwd', '/dir/null', '/dir/sub/victim'):
            with open(self.outside + name, 'w') as f:
                f.write('root:x:0:0:%s:/:/bin/sh\nuser:x:4242:4242:%s:/:/bin/sh\n' % (self.word, self.word))
        for where, directories, files in os.walk(self.outside):
            for name in files:
                os.chmod(os.path.join(where, name), 0o666)
                os.utime(os.path.join(where, name), (1, 1))
        for name in ('/dir/sub', '/dir', '/b', ''):
            os.chmod(self.outside + name, 0o777)
            os.utime(self.outside + name, (1, 1))

    def host(self):
        """What no build may change on the machine."""
        with open(os.environ['CBUILD'], 'rb') as f:
            program = hashlib.sha256(f.read()).hexdigest()
        return {'program': program, 'core_pattern': read('/proc/sys/kernel/core_pattern'), 'modprobe': read('/proc/sys/kernel/modprobe'),
                'hostname': os.uname().nodename, 'mounts': soak.mounts(), 'namespaces': soak.namespaces(),
                '/dev': sorted(os.listdir('/dev')), '/tmp/pwned': os.path.lexists('/tmp/pwned') or os.path.lexists('/pwned')}

    def layers(self):
        top = self.store + '/snapshots'
        found = {}
        for name in sorted(os.listdir(top)) if os.path.isdir(top) else ():
            try:
                found.update({name + '/' + key: value for key, value in facts(os.path.join(top, name, 'fs')).items()})
            except OSError:
                pass  # of other ids: an ordinary user's cbuild alone reads them
        return found

    def run(self, row):
        """What went wrong with the row."""
        directory = os.path.join(self.work, 'row')
        out = os.path.join(self.work, 'out.tar')
        for left in (directory, out):
            subprocess.run(['rm', '-rf', left], check=False)
        os.mkdir(directory)
        env = {'PATH': self.work + '/bin:' + os.environ['PATH'], 'HOME': self.work, 'CBUILD_ROOT': self.store, 'REG': self.registry.host,
               'OUTSIDE': self.outside, 'OUT': out, 'HERE': here, 'WORK': self.work, 'LC_ALL': 'C.UTF-8', 'WORD': self.word}
        env.update({key: os.environ[key] for key in ('ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS') if key in os.environ})
        with open(directory + '/Buildfile', 'w', encoding='utf-8') as f:
            f.write(row.sections.get('Buildfile', '').replace('@REG@', self.registry.host).replace('@OUTSIDE@', self.outside))
        subprocess.run(['sh', '-e', '-c', row.sections.get('setup', '')], cwd=directory, env=env, check=True, stdin=subprocess.DEVNULL)
        try:
            done = subprocess.run(['sh', '-c', row.keys['run']], cwd=directory, env=env, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as slow:
            return ['not done after %d s: %s' % (TIMEOUT, (slow.stdout or b'')[-1000:].decode('utf-8', 'replace'))]
        said = done.stdout.decode('utf-8', 'replace')
        if 'SHOW' in os.environ:
            print('--- %s: %d\n%s' % (row.name, done.returncode, said))
        wrong = []
        if str(done.returncode) not in row.keys['exit'].split():
            wrong.append('exit status %d, want %s; it said: %s' % (done.returncode, row.keys['exit'], said[-1500:]))
        wrong += ['"%s" is not in: %s' % (line, said[-1500:]) for line in row.sections.get('says', '').splitlines() if line not in said]
        wrong += ['"%s" is in the output' % line for line in row.sections.get('never', '').splitlines() if line and line.encode().decode('unicode_escape') in said]
        if self.word in said:
            wrong.append('what the sentinels hold is in the output')
        if os.path.isfile(out) and subprocess.run(['grep', '-qaF', self.word, out], check=False).returncode == 0:
            wrong.append('what the sentinels hold is in the result')
        if 'check' in row.sections and not wrong:
            check = subprocess.run(['sh', '-e', '-c', row.sections['check']], cwd=directory, env=env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT)
            if check.returncode:
                wrong.append('the check failed: %s; the build said: %s' % (check.stdout.decode('utf-8', 'replace')[-500:], said[-800:]))
        return wrong

    def gone(self):
        """Nobody may survive a build; what is left is ours to see, as the reaper of orphans."""
        for _ in range(2000):
            soak.reap()
            left = soak.below(os.getpid())
            if not left:
                return []
            time.sleep(0.01)
        return ['processes are left: %s' % [read('/proc/%d/cmdline' % pid) for pid in left]]


def main():
    work, tables = os.path.abspath(sys.argv[1]), sys.argv[2:]
    rows.KEYS = ('run', 'exit', 'needs', 'cve')
    rows.DEFAULTS = {'run': BUILD, 'exit': '0', 'needs': '', 'cve': ''}
    rows.SECTIONS = ('setup', 'Buildfile', 'says', 'never', 'check')
    ctypes.CDLL(None).prctl(soak.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.umask(0)
    driver = Driver(work)
    os.umask(0o022)
    todo = [row for path in tables for row in rows.read_table(path)[1]] + list(archive_rows())
    who = 'root' if os.getuid() == 0 else 'user'
    todo = [row for row in todo if row.keys['needs'] in ('', who) and os.environ.get('ONLY', '') in row.name]
    warm = driver.run(row_of('the base image', '0', 'FROM @REG@/base\nRUN true\n'))
    if warm:
        sys.exit('the base image does not work: %s' % warm)
    sentinels, host, layers = facts(driver.outside), driver.host(), driver.layers()
    failed, attacks, cves = 0, 0, set()
    for row in todo:
        begin = time.monotonic()
        wrong = driver.run(row) + driver.gone()
        after = facts(driver.outside)
        wrong += ['OUTSIDE HAS CHANGED: ' + change for change in changes(sentinels, after)]
        sentinels = after
        attacks += max(1, row.sections.get('Buildfile', '').count('probe deny'))
        cves.update(row.keys['cve'].split())
        if wrong:
            failed += 1
            print('%s:%d: %s\n    %s' % (row.table, row.number, row.name, '\n    '.join(wrong)))
        if 'SLOW' in os.environ and time.monotonic() - begin > float(os.environ['SLOW']):
            print('%5.1f s: %s' % (time.monotonic() - begin, row.name))
    at_end = driver.host()
    for key in host:
        if host[key] != at_end[key]:
            failed += 1
            print('THE HOST HAS CHANGED: %s: was %s, is %s' % (key, host[key], at_end[key]))
    now = driver.layers()
    for change in changes(layers, {name: now[name] for name in layers if name in now}):
        failed += 1
        print('A LAYER IN THE STORE HAS CHANGED: ' + change)
    shutil.rmtree(driver.outside)
    print('# %d attacks in %d rows, %d CVEs named, %d rows not as they should be' % (attacks, len(todo), len(cves), failed))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
