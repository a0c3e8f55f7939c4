#!/usr/bin/env python3
"""Runs the rows of tables of bad input and compares what cbuild says, to the byte.

    drive.py WORKDIR TABLE...          exit 1 and a difference per row that is not as written
    drive.py --update WORKDIR TABLE... writes what happened into the tables, to be read and judged by a human

A table is text. A row begins with "=== name"; lines "key: value" may follow, then sections that begin with "--- name":

    run:    the command, for sh; without it: cbuild build -q .
    exit:   its exit status; without it: 1
    needs:  root, or user: who can run the row at all
    leaves: patterns of files that the command may leave in the row's directory

    --- setup      commands for sh, before
    --- Buildfile  the file in the row's directory, which is also where commands run
    --- stderr     what must appear there, whole
    --- stdout     the same of standard output; must be empty without it

$REG is the registry of fakeregistry.py, $DIR the row's directory, $STORE the store; in a Buildfile and in what is
compared they are written @REG@, @DIR@, @STORE@. A digest of the registry is written <layer>, <config> or <manifest>.
After a row its directory must look as before: a failing build leaves nothing.

Environment: ONLY=part of the names of the rows to run; SLOW=seconds: names rows that take longer."""
import concurrent.futures
import difflib
import fnmatch
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fakeregistry  # noqa: E402

KEYS = ('run', 'exit', 'needs', 'leaves')
DEFAULTS = {'run': 'cbuild build -q .', 'exit': '1', 'needs': '', 'leaves': ''}
SECTIONS = ('setup', 'Buildfile', 'stderr', 'stdout')
TIMEOUT = 40


class Row:
    def __init__(self, table, number, name):
        self.table, self.number, self.name = table, number, name
        self.keys, self.sections = dict(DEFAULTS), {}

    def text(self):
        lines = ['=== ' + self.name] + ['%s: %s' % (k, self.keys[k]) for k in KEYS if self.keys[k] != DEFAULTS[k]]
        for name in SECTIONS:
            if name in self.sections and (self.sections[name] or name == 'Buildfile'):
                lines += ['--- ' + name, self.sections[name].rstrip('\n')] if self.sections[name] else ['--- ' + name]
        return '\n'.join(lines) + '\n\n'


def read_table(path):
    """The comment before the first row, and the rows."""
    head, rows, section = [], [], None
    with open(path) as f:
        for number, line in enumerate(f, 1):
            if line.startswith('=== '):
                rows.append(Row(path, number, line[4:].strip()))
                section = None
            elif not rows:
                head.append(line)
            elif line.startswith('--- '):
                section = line[4:].strip()
                if section not in SECTIONS or section in rows[-1].sections:
                    raise SystemExit('%s:%d: section "%s"' % (path, number, section))
                rows[-1].sections[section] = ''
            elif section:
                rows[-1].sections[section] += line
            elif line.strip():
                key, _, value = line.partition(':')
                if key not in KEYS:
                    raise SystemExit('%s:%d: key "%s"' % (path, number, key))
                rows[-1].keys[key] = value.strip()
    for row in rows:
        for name in row.sections:
            row.sections[name] = row.sections[name].rstrip('\n') + '\n' if row.sections[name].strip() else ''
    return ''.join(head), rows


def listing(top):
    found = set()
    for where, directories, files in os.walk(top):
        found.update(os.path.relpath(os.path.join(where, name), top) for name in directories + files)
    return found


class Driver:
    def __init__(self, work):
        self.work = work
        self.registry = fakeregistry.Registry()
        self.store = os.environ['CBUILD_ROOT']
        os.makedirs(work + '/bin', exist_ok=True)
        os.symlink(os.environ['CBUILD'], work + '/bin/cbuild')

    def names(self, text, directory):
        """Replaces what differs between runs."""
        text = text.replace(self.registry.host, '@REG@').replace(directory, '@DIR@').replace(self.store, '@STORE@')
        text = re.sub(r'(?m)^\d+\.\d{3} ', '0.000 ', text)  # times of lines of output
        text = re.sub(r'after \d+ ms', 'after 0 ms', text)
        return re.sub('sha256:[0-9a-f]{64}', self.name_digest, text)

    def name_digest(self, match):
        label = self.registry.digests.get(match.group(0))
        return '<%s>' % label if label else match.group(0)

    def run(self, row):
        """What the row printed: status, standard error, standard output, and what it left behind."""
        directory = os.path.join(self.work, 'row-%s-%d' % (os.path.basename(row.table).split('.')[0], row.number))
        os.mkdir(directory)
        env = {'PATH': self.work + '/bin:' + os.environ['PATH'], 'HOME': self.work, 'CBUILD_ROOT': self.store,
               'REG': self.registry.host, 'DIR': directory, 'STORE': self.store, 'LC_ALL': 'C.UTF-8'}
        env.update({key: os.environ[key] for key in ('ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS') if key in os.environ})
        if 'Buildfile' in row.sections:
            with open(directory + '/Buildfile', 'w', encoding='utf-8') as f:
                f.write(row.sections['Buildfile'].replace('@REG@', self.registry.host))
        subprocess.run(['sh', '-e', '-c', row.sections.get('setup', '')], cwd=directory, env=env, check=True,
                       stdin=subprocess.DEVNULL)
        before, begin = listing(directory), time.monotonic()
        try:
            done = subprocess.run(['sh', '-c', row.keys['run']], cwd=directory, env=env, timeout=TIMEOUT,
                                  stdin=subprocess.DEVNULL, capture_output=True)
        except subprocess.TimeoutExpired:
            return 'timeout', '', '', ''
        if 'SLOW' in os.environ and time.monotonic() - begin > float(os.environ['SLOW']):
            print('%5.1f s: %s' % (time.monotonic() - begin, row.name))
        left = [name for name in sorted(listing(directory) ^ before)
                if not any(fnmatch.fnmatch(name, pattern) for pattern in row.keys['leaves'].split())]
        err, out = (self.names(data.decode('utf-8', 'replace'), directory) for data in (done.stderr, done.stdout))
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return str(status), err, out, ' '.join(left)


def differences(row, got):
    status, err, out, left = got
    found = []
    if status != row.keys['exit']:
        found.append('exit status %s, want %s' % (status, row.keys['exit']))
    for name, text in (('stderr', err), ('stdout', out)):
        want = row.sections.get(name, '')
        if text.rstrip('\n') != want.rstrip('\n'):
            found += difflib.unified_diff(want.splitlines(), text.splitlines(), 'wanted ' + name, 'got', lineterm='')
    if left:
        found.append('changed in its directory: ' + left)
    return found


def main():
    args = sys.argv[1:]
    update = args[0] == '--update'
    work, paths = os.path.abspath(args[update]), args[update + 1:]
    only = os.environ.get('ONLY', '')
    driver = Driver(work)
    tables = [(path, *read_table(path)) for path in paths]
    rows = [row for _, _, rows in tables for row in rows
            if row.keys['needs'] in ('', 'root' if os.getuid() == 0 else 'user') and only in row.name]
    # What waits for a broken registry, or to be interrupted, waits while the others run.
    rows.sort(key=lambda row: not row.table.endswith(('images.rows', 'stores.rows')))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for row, got in zip(rows, pool.map(driver.run, rows)):
            if update:
                row.keys['exit'], row.sections['stderr'], row.sections['stdout'] = got[:3]
                if got[3]:
                    print('%s: left behind: %s' % (row.name, got[3]))
                continue
            found = differences(row, got)
            if found:
                failed += 1
                print('%s:%d: %s\n    %s' % (row.table, row.number, row.name, '\n    '.join(found)))
    for path, head, all_rows in tables if update else ():
        with open(path, 'w') as f:
            f.write(head + ''.join(row.text() for row in all_rows))
    print('# %d rows, %d of them not as written' % (len(rows), failed))
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
