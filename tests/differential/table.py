"""The files of this folder: tables of cases, recorded results of peers, and the list of differences."""
import hashlib
import os
import shlex

HERE = os.path.dirname(os.path.abspath(__file__))
SECTIONS = ('setup', 'Buildfile', 'plain')
KEYS = {'args': '', 'peers': 'docker buildah buildkit', 'plain': 'docker buildah', 'output': '', 'needs': '', 'layers': '', 'error': ''}


class Case:
    def __init__(self, table, name, where):
        self.name, self.where, self.table = '%s: %s' % (table, name), where, table
        self.keys, self.sections = dict(KEYS), {}
        self.directory = None

    @property
    def options(self):
        return shlex.split(self.keys['args'])

    @property
    def peers(self):
        return self.keys['peers'].split()

    def file(self, builder):
        """The name of the Buildfile for @builder: a peer that lacks a feature gets another that means the same."""
        return 'plain' if 'plain' in self.sections and builder in self.keys['plain'].split() else 'Buildfile'

    def identity(self, peer):
        """Changes with whatever changes what @peer makes of the case."""
        text = [self.sections.get('setup', ''), self.sections[self.file(peer)], self.keys['args']]
        text += [self.keys['output']] if peer == 'buildkit' else [self.keys['layers']]
        return hashlib.sha256('\0'.join(text).encode()).hexdigest()[:10]


def read_cases(path):
    """The cases of a table. What its head says in "--- setup" comes before each case's own setup."""
    table, cases, section, shared = os.path.basename(path).split('.')[0], [], None, {}
    with open(path, encoding='utf-8', newline='\n') as f:
        for number, line in enumerate(f, 1):
            if line.startswith('=== '):
                cases.append(Case(table, line[4:].strip(), '%s:%d' % (path, number)))
                cases[-1].sections['setup'] = shared.get('setup', '')
                section = None
            elif line.startswith('--- '):
                section = line[4:].strip()
                if section not in SECTIONS:
                    raise SystemExit('%s:%d: section "%s"' % (path, number, section))
            elif section:
                into = cases[-1].sections if cases else shared
                into[section] = into.get(section, '') + line
            elif cases and line.strip():
                key, _, value = line.partition(':')
                if key not in KEYS:
                    raise SystemExit('%s:%d: key "%s"' % (path, number, key))
                cases[-1].keys[key] = value.strip()
    for case in cases:
        case.sections = {k: v.rstrip('\n') + '\n' for k, v in case.sections.items()}
    return cases


def all_cases():
    cases = [c for f in sorted(os.listdir(HERE)) if f.endswith('.cases') for c in read_cases(os.path.join(HERE, f))]
    names = [c.name for c in cases]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise SystemExit('two cases of one name: ' + ', '.join(sorted(twice)))
    return cases


class Recorded:
    """What one peer made of each case, as it was seen: recorded/<peer>.txt."""

    def __init__(self, peer):
        self.peer, self.path = peer, os.path.join(HERE, 'recorded', peer + '.txt')
        self.version, self.results = '', {}
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding='utf-8') as f:
            self.version = f.readline().strip()
            for line in f:
                line = line.rstrip('\n')
                if line.startswith('=== '):
                    name, _, identity = line[4:].rpartition(' #')
                    self.results[name] = (identity, [])
                elif line:
                    self.results[name][1].append(line)

    def lines(self, case):
        """None: not recorded, or of another text of the case."""
        identity, lines = self.results.get(case.name, (None, None))
        return lines if identity == case.identity(self.peer) else None

    def write(self, cases):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, 'w', encoding='utf-8') as f:
            f.write(self.version + '\n')
            for case in cases:
                if case.name in self.results:
                    identity, lines = self.results[case.name]
                    f.write('\n=== %s #%s\n' % (case.name, identity) + ''.join(line + '\n' for line in lines))


class Differences:
    """Every known difference, to the line, and why: differences.txt.

    reason NAME: TEXT
    usual PEER | REASON | LINE       a line that differs in very many cases
    === CASE | PEER | REASON
    - what only the peer has
    + what only cbuild has"""

    def __init__(self):
        self.path = os.path.join(HERE, 'differences.txt')
        self.head, self.reasons, self.entries, self.usual, self.seen = [], {}, {}, {}, set()
        entry = None
        with open(self.path, encoding='utf-8') as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip('\n')
                if line.startswith('=== '):
                    case, peer, reason = line[4:].rsplit(' | ', 2)
                    entry = self.entries.setdefault((case, peer), {}).setdefault(reason, [])
                    if reason not in self.reasons and reason != '?':
                        raise SystemExit('%s:%d: no such reason: %s' % (self.path, number, reason))
                elif entry is None:
                    self.head.append(line)
                    if line.startswith('reason '):
                        self.reasons[line.split()[1].rstrip(':')] = number
                    elif line.startswith('usual '):
                        peer, reason, text = line[6:].split(' | ', 2)
                        self.usual[(peer, text)] = reason
                elif line:
                    entry.append(line)

    def without_usual(self, peer, lines):
        self.seen |= {(peer, line) for line in lines} & set(self.usual)
        return [line for line in lines if (peer, line) not in self.usual]

    def of(self, case, peer):
        return sorted(line for lines in self.entries.get((case.name, peer), {}).values() for line in lines)

    def unexplained(self):
        return [key for key, entry in self.entries.items() if '?' in entry]

    def unused(self):
        used = {reason for entry in self.entries.values() for reason in entry} | {self.usual[key] for key in self.seen}
        return sorted(set(self.reasons) - used)

    def set(self, case, peer, got):
        """Keeps the reason of each line that is still so; new ones have none yet."""
        old = self.entries.pop((case.name, peer), {})
        reasons = {line: reason for reason, lines in old.items() for line in lines}
        fresh = {}
        for line in got:
            fresh.setdefault(reasons.get(line, '?'), []).append(line)
        if fresh:
            self.entries[(case.name, peer)] = fresh

    def write(self, cases):
        order = {case.name: number for number, case in enumerate(cases)}
        with open(self.path, 'w', encoding='utf-8') as f:
            f.write('\n'.join(self.head).rstrip('\n') + '\n')
            for case, peer in sorted(self.entries, key=lambda key: (order.get(key[0], -1), key)):
                for reason, lines in self.entries[(case, peer)].items():
                    if case in order:
                        f.write('\n=== %s | %s | %s\n' % (case, peer, reason) + ''.join(line + '\n' for line in lines))
