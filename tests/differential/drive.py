#!/usr/bin/env python3
"""Builds the cases of the tables here with cbuild and compares the images with what other builders make of them.

    drive.py WORKDIR REGISTRY BASE.tar            exit 1 if anything differs that is not in differences.txt, or no longer does
    drive.py --record WORKDIR REGISTRY BASE.tar   runs the peers (of PEERS) on all cases (of ONLY) and writes recorded/ anew
    drive.py --update WORKDIR REGISTRY BASE.tar   writes differences.txt anew; new lines get the reason "?", for a human

Each case is compared with the recorded results of each peer, and so can be without them. Where a peer is installed, it
builds as many cases as fit in its time, and must still make what was recorded.

A table is text. A case begins with "=== name"; lines "key: value" may follow, then sections that begin with "--- name":

    args:    options of build, the same for all builders
    peers:   docker, buildah, buildkit: who can be asked; all without it
    plain:   who of them gets the plain file; docker and buildah without it
    output:  what is appended to the output option, of cbuild and buildkit, the only ones that can be asked then
    needs:   root: the context cannot be made by others
    layers:  yes: the digests of the layers are compared as well, with docker; with buildkit they always are
    error:   cbuild must fail, with this in its message

    --- setup      commands for sh that make the context, run in it; the table's own setup comes first
    --- Buildfile  the file, which is beside the context
    --- plain      the file for peers that do not know what Buildfile uses: it must mean the same

@NAME@ is a base image (see BASES), @WEB@ and @GIT@ are servers (see remotes.py). Files of a context are as old as OLD unless the setup gives them a time.

Environment: ONLY=part of the names of the cases; PEERS="who may be asked"; CBUILD_DIFFERENTIAL=all|none|SECONDS: how much of the live comparison."""
import concurrent.futures
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import builders  # noqa: E402
from remotes import Remotes  # noqa: E402
from table import HERE, Differences, Recorded, all_cases  # noqa: E402
from view import Base  # noqa: E402

OLD = 1700000000
LIVE_SECONDS = 15
PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
BASES = {
    'BUSY': {'Env': [PATH], 'Cmd': ['/bin/sh']},
    'BARE': {},
    'FULL': {'Env': ['PATH=/bin', 'FROM_BASE=base value'], 'Entrypoint': ['/entry', 'of base'], 'Cmd': ['cmd of base'],
             'Labels': {'kept': 'yes', 'changed': 'no'}, 'Volumes': {'/vol': {}}, 'ExposedPorts': {'80/tcp': {}}, 'User': 'user',
             'WorkingDir': '/home', 'StopSignal': 'SIGHUP', 'Shell': ['/bin/sh', '-ec'],
             'Healthcheck': {'Test': ['CMD', 'true'], 'Interval': 3000000000, 'Retries': 2}},
    'TRIGGERS': {'Env': [PATH], 'Cmd': ['/bin/sh'],
                 'OnBuild': ['ARG WHO=nobody', 'COPY a /triggered/', 'RUN echo $WHO >/triggered/who', 'WORKDIR /triggered', 'ENV T=$WHO']},
}
# buildah's history and layers are its own, and so are the bytes of the layers of old dockerd. Where the bytes are compared,
# what would be settled need not be.
NOT_ASKED = {'buildah': ('history ', 'layer', 'diff id '), 'docker': ('diff id ',), 'buildkit': ('layer',)}


class Driver:
    def __init__(self, work, registry, base_tar, remotes):
        self.work, self.registry, self.begin, self.remotes = work, registry, int(time.time()), remotes
        self.base = Base(base_tar)
        self.lock, self.built = threading.Lock(), 0

    def push_bases(self, base_tar):
        def push(item):
            name, config = item
            archive = '%s/base-%s.tar' % (self.work, name)
            subprocess.run([sys.executable, HERE + '/../e2e/image_from_tar.py', base_tar, json.dumps(config), archive], check=True)
            subprocess.run(['skopeo', '--insecure-policy', 'copy', '-q', '--dest-tls-verify=false', 'docker-archive:' + archive,
                            'docker://%s/%s:latest' % (self.registry, name.lower())], check=True)
            os.unlink(archive)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(push, BASES.items()))

    def prepare(self, case):
        """The case's directory: the Buildfiles, and the context, whose files are made to look old."""
        case.directory = '%s/case-%s' % (self.work, hashlib.sha256(case.name.encode()).hexdigest()[:10])
        os.makedirs(case.directory + '/context')
        for name in ('Buildfile', 'plain'):
            text = case.sections.get(name)
            if text:
                for base in BASES:
                    text = text.replace('@%s@' % base, '%s/%s:latest' % (self.registry, base.lower()))
                with open(os.path.join(case.directory, name), 'w', encoding='utf-8', newline='') as f:
                    f.write(self.remotes.put(text))
        subprocess.run(['sh', '-e', '-c', 'umask 022\n' + case.sections.get('setup', '')], cwd=case.directory + '/context',
                       check=True, stdin=subprocess.DEVNULL)
        # Whole seconds are the same for all, for the digests of layers; below that no two are, because docker's BuildKit
        # takes a file of the same name, size and time for the one it was sent by the build before.
        for where, directories, files in os.walk(case.directory, topdown=False):
            for path in [os.path.join(where, n) for n in directories + files]:
                seconds = int(os.lstat(path).st_mtime)
                nanoseconds = (OLD if seconds >= self.begin else seconds) * 10**9 + random.randrange(10**9)
                os.utime(path, ns=(nanoseconds, nanoseconds), follow_symlinks=False)

    def build(self, builder, case):
        """What the builder makes of the case, as lines."""
        with self.lock:
            self.built += 1
            out = '%s/out-%d' % (self.work, self.built)
        try:
            image = builder.build(case, case.file(builder.name), out)
            lines = self.base.lines(image, self.begin, case.keys['layers'])
        except builders.Failed as e:
            return ['fails'], str(e)
        except builders.NoImage as e:
            return ['makes an image that cannot be read'], str(e)
        except subprocess.TimeoutExpired:
            return ['takes longer than %d s' % builders.TIMEOUT], ''
        finally:
            subprocess.run(['rm', '-rf', out], check=False)
        return [self.remotes.take(line) for line in lines if not line.startswith(NOT_ASKED.get(builder.name, ()))], ''


def differences(case, peer, reference, mine):
    """What only the peer has, and what only cbuild has."""
    leave = NOT_ASKED[peer] + (('history ', 'diff id ') if case.file(peer) == 'plain' else ())
    reference, mine = ([line for line in lines if not line.startswith(leave)] for lines in (reference, mine))
    return ['- ' + line for line in reference if line not in mine] + ['+ ' + line for line in mine if line not in reference]


def report(case, text, lines):
    print('%s: %s\n    %s\n    %s' % (case.where, case.name, text, '\n    '.join(lines)))


def judge_own(cases, results):
    """Do the cases that must fail do so, for the right reason, and the others not?"""
    bad = 0
    for case in cases:
        lines, output = results[case.name]
        if (lines == ['fails']) != bool(case.keys['error']):
            bad += 1
            report(case, 'cbuild must fail' if case.keys['error'] else 'cbuild fails', output.strip().splitlines()[-8:])
        elif case.keys['error'] and case.keys['error'] not in output:
            bad += 1
            report(case, 'cbuild fails without saying "%s"' % case.keys['error'], output.strip().splitlines()[-8:])
    return bad


def judge(cases, results, recorded, known, update):
    bad = 0
    for case in cases:
        for peer in case.peers:
            reference = recorded[peer].lines(case)
            if reference is None:
                bad += 1
                report(case, 'no result of %s is recorded for this text' % peer, ['drive.py --record makes one'])
                continue
            got = known.without_usual(peer, differences(case, peer, reference, results[case.name][0]))
            want = known.of(case, peer)
            if update:
                known.set(case, peer, got)
            elif sorted(got) != want:
                bad += 1
                report(case, 'compared with %s, there is something new, or gone:' % recorded[peer].version,
                       ['new   ' + line for line in got if line not in want] + ['gone  ' + line for line in want if line not in got])
    return bad


def live(driver, cases, recorded, seconds, record):
    """Lets the peers build, for some seconds each (0: no limit), and compares with what is recorded, or records."""
    bad = 0
    for peer in os.environ.get('PEERS', ' '.join(builders.PEERS)).split():
        theirs = [case for case in cases if peer in case.peers]
        random.shuffle(theirs)
        # Layers need the peer most: their digests are first.
        theirs.sort(key=lambda case: not case.keys['layers'])
        try:
            builder = builders.PEERS[peer](driver.work)
        except builders.Unusable as e:
            print('SKIPPED in part: the live comparison with %s: %s' % (peer, e))
            bad += record
            continue
        end = time.monotonic() + seconds if seconds else float('inf')
        try:
            bad += live_peer(driver, builder, theirs, recorded[peer], end, record)
        finally:
            builder.close()
    return bad


def live_peer(driver, builder, cases, recorded, end, record):
    bad = done = 0
    comparable = builder.version == recorded.version
    if not comparable and not record:
        print('SKIPPED in part: %s is here, recorded are the results of %s' % (builder.version, recorded.version))
        return 0
    if record:
        recorded.version = builder.version

    def one(case):
        return driver.build(builder, case) if time.monotonic() < end else None
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for case, got in zip(cases, pool.map(one, cases)):
            if not got:
                continue
            done += 1
            if record:
                recorded.results[case.name] = (case.identity(builder.name), got[0])
                if got[0] == ['fails'] and os.environ.get('VERBOSE'):
                    report(case, builder.name + ' fails', got[1].strip().splitlines()[-4:])
            elif recorded.lines(case) != got[0]:
                bad += 1
                old = recorded.lines(case) or []
                report(case, '%s does something else than recorded:' % builder.version,
                       ['- ' + line for line in old if line not in got[0]] + ['+ ' + line for line in got[0] if line not in old])
    print('# %s: %d of %d cases built' % (builder.version, done, len(cases)))
    return bad


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = sys.argv[1:]
    mode = args.pop(0) if args[0].startswith('--') else ''
    work, registry, base_tar = os.path.abspath(args[0]), args[1], args[2]
    os.makedirs(work, exist_ok=True)
    only, amount = os.environ.get('ONLY', ''), os.environ.get('CBUILD_DIFFERENTIAL', str(LIVE_SECONDS))
    every = all_cases()
    cases = [c for c in every if only in c.name and (os.getuid() == 0 or c.keys['needs'] != 'root')]
    with Remotes(work) as remotes:
        driver = Driver(work, registry, base_tar, remotes)
        driver.push_bases(base_tar)
        recorded, known = {peer: Recorded(peer) for peer in builders.PEERS}, Differences()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(driver.prepare, cases))
            cbuild = builders.Cbuild(work)
            results = dict(zip([c.name for c in cases], pool.map(lambda case: driver.build(cbuild, case), cases)))
        bad = judge_own(cases, results)
        if amount != 'none' or mode == '--record':
            seconds = 0 if amount == 'all' or mode == '--record' else int(amount)
            bad += live(driver, cases, recorded, seconds, mode == '--record')
        if mode == '--record':
            for record in recorded.values():
                record.write(every)
        else:
            bad += judge(cases, results, recorded, known, mode == '--update')
            if mode == '--update':
                known.write(every)
            strays = sorted({name for name, _ in known.entries} - {case.name for case in every})
            if mode != '--update' and (known.unexplained() or strays or (known.unused() and not only)):
                bad += 1
                print('differences.txt: without a reason: %s; of no case: %s; reasons without a difference: %s' % (
                    known.unexplained(), strays, known.unused()))
    print('# %d cases, %d findings' % (len(cases), bad))
    sys.exit(1 if bad else 0)


if __name__ == '__main__':
    main()
