"""What RUN steps see, in cbuild on every rung of this host, beside docker's BuildKit and buildah.

compare.py WORK          every difference from docker must be explained in docs/containment.md
compare.py WORK table    prints the facts of the first table there
compare.py WORK record   writes the facts of docker, for machines without it
"""
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, '..', 'differential'))
import builders  # noqa: E402

RECORDED = here + '/docker.facts'
DOCS = here + '/../../docs/containment.md'
# What a kernel or a host decides: not compared with facts that were recorded on another one.
OF_THE_HOST = ('rlimit *', 'content *', 'sysctl *', 'size /dev', 'cgroup*', 'mount /sys/fs/cgroup*', 'mount /proc/*', 'mount /sys/*',
               'writable /sys/fs/cgroup', 'oom_score_adj*', 'nice*', 'label*', 'namespace time*', 'Speculation*')
SHOWN = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters', 'refused calls', 'label', 'Groups',
         'uid_map', 'gid_map', 'setgroups', 'namespace cgroup', 'namespace ipc', 'namespace mnt', 'namespace net', 'namespace pid',
         'namespace user', 'namespace uts', 'namespace time', 'mount /', 'mount /proc', 'mount /sys', 'mount /sys/fs/cgroup',
         'mount /dev', 'mount /dev/shm', 'mount /etc/hosts', 'size /dev/shm', 'masked', 'read-only', 'devices', 'device null', 'mknod null',
         'mknod disk', 'cgroup view', 'descriptors', 'rlimit nofile', 'rlimit nproc', 'rlimit core', 'env HOME', 'env PATH', 'hostname',
         'Umask', 'SigIgn', 'oom_score_adj', 'sysctl net/ipv4/ping_group_range')


def parse(text):
    return dict(line.split(' = ', 1) if ' = ' in line else (line.rstrip('= '), '') for line in text.splitlines() if line)


def tidy(facts):
    """Names of this machine and of this moment become what they mean."""
    facts = {key: value.strip() for key, value in facts.items()}
    for key in [key for key in facts if key.startswith('namespace ')]:
        facts[key] = "the host's" if facts[key] == os.readlink('/proc/self/ns/' + key.split()[1]) else 'own'
    names = {key.split(' ', 1)[1] for key in facts if key.startswith('cgroup ') and key != 'cgroup paths'}
    for name in names - {'paths'}:
        del facts['cgroup ' + name]
    if 'cgroup.procs' in names:
        # Only the root of the hierarchy has no events.
        facts['cgroup view'] = 'a group of v2' if 'cgroup.events' in names else 'all groups of the host'
    else:
        facts['cgroup view'] = 'v1' if names else 'nothing'
    for key in ('hostname', 'env HOSTNAME'):
        if re.fullmatch('[0-9a-f]{12}', facts.get(key, '')):
            facts[key] = 'random'
    if facts.get('hostname') == os.uname().nodename:
        facts['hostname'] = "the host's"
    return facts


def expand(facts):
    for key in [key for key in facts if key.startswith('calls ')]:
        for name in facts.pop(key).split('; '):
            facts['call ' + name] = key.split()[1]
    return facts


def compact(facts):
    calls, rest = {}, []
    for key, value in sorted(facts.items()):
        if key.startswith('call '):
            calls.setdefault(value, []).append(key[len('call '):])
        else:
            rest.append('%s = %s' % (key, value))
    return '\n'.join(rest + ['calls %s = %s' % (how, '; '.join(names)) for how, names in sorted(calls.items())]) + '\n'


class Rung(builders.Cbuild):
    def __init__(self, work, name):
        super().__init__(work)
        self.name, self.env['CBUILD_ROOT'] = name, work + '/store-' + name

    def see(self, context, out):
        network = ['--network=none'] if self.name != 'chroot' else []
        builders.run([self.program, 'build', '--isolation', self.name, '--no-cache', '--progress=plain', *network, '-o', out, context],
                     context, self.env)

    def close(self):
        pass


class Docker(builders.Docker):
    def see(self, context, out):
        builders.run([self.client, 'build', '--progress=plain', '--no-cache', '--network=none', '-o', out, context], context, self.env)


class Buildah(builders.Buildah):
    """By a runtime, the first that works here."""
    name, how = 'buildah', ('oci', '--network=none')

    def see(self, context, out):
        said = []
        for runtime in ('crun', 'runc'):
            shutil.rmtree(out, ignore_errors=True)
            if not shutil.which(runtime):
                continue
            try:
                builders.run([*self.base, 'build', '-q', '--no-cache', '--runtime', shutil.which(runtime), '--isolation', *self.how,
                              *self.policy, '-o', out, context], context, self.env)
                return
            except builders.Failed as e:
                said.append('%s: %s' % (runtime, str(e).strip().splitlines()[0]))
        raise builders.Unusable('; '.join(said) or 'neither crun nor runc is installed')


class BuildahChroot(Buildah):
    name, how = 'buildah chroot', ('chroot',)


def make_context(work):
    context = work + '/context'
    os.mkdir(context)
    with open(work + '/names.inc', 'w', encoding='utf-8') as f:
        numbers = subprocess.run(['cc', '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null'], capture_output=True, text=True,
                                 check=True).stdout
        f.writelines('{ %s, "%s" },\n' % (number, name) for name, number in re.findall(r'#define __NR_([a-z]\w*) (\d+)$', numbers, re.M))
    subprocess.run(['cc', '-static', '-O1', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-I', work, '-o', context + '/probe',
                    here + '/probe.c'], check=True)
    with open(context + '/Dockerfile', 'w', encoding='utf-8') as f:
        f.write('FROM scratch AS seen\nCOPY probe /probe\nRUN ["/probe", "/facts"]\nFROM scratch\nCOPY --from=seen /facts /\n')
    return context


def see(builder, context, work):
    out = work + '/out-' + builder.name.replace(' ', '-')
    builder.see(context, out)
    with open(out + '/facts', encoding='utf-8') as f:
        return tidy(parse(f.read()))


def peers(work, context):
    """The facts of each peer that works here."""
    seen = {}
    for kind in (Docker, Buildah, BuildahChroot):
        place = os.path.join(work, kind.name.replace(' ', '-'))
        os.mkdir(place)
        try:
            builder = kind(place)
        except builders.Unusable as e:
            print('SKIPPED: %s: %s' % (kind.name, e))
            continue
        try:
            seen[kind.name] = see(builder, context, work)
        except (builders.Failed, builders.Unusable) as e:
            print('SKIPPED: %s cannot build here: %s' % (kind.name, e))
        finally:
            builder.close()
    return seen


def rungs(work):
    doctor = subprocess.run([os.environ['CBUILD'], 'doctor', '--format=json'], capture_output=True, text=True, check=True,
                            env=dict(os.environ, CBUILD_ROOT=work + '/store-doctor')).stdout
    for rung in json.loads(doctor)['rungs']:
        if rung['works']:
            yield rung['name']
        else:
            print('SKIPPED: isolation %s: %s' % (rung['name'], rung.get('reason')))


def explanations():
    """(patterns, columns) of the rows of the table of differences."""
    with open(DOCS, encoding='utf-8') as f:
        part = f.read().split('\n## Differences\n', 1)[1].split('\n## ', 1)[0]
    rows = []
    for line in part.splitlines():
        cells = [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith('`'):
            rows.append((re.findall('`([^`]+)`', cells[0]), [name.strip(' `') for name in cells[1].split(',')], line))
    assert rows, 'no rows in ' + DOCS
    return rows


def explained(rows, used, column, key, value):
    hit = False
    for patterns, columns, line in rows:
        if column in columns or 'all' in columns or ('cbuild' in columns and not column.startswith('buildah')):
            for pattern in patterns:
                text = '%s = %s' % (key, value) if ' = ' in pattern else key
                if fnmatch.fnmatchcase(text, pattern):
                    used.add(line)
                    hit = True
    return hit


def compare(reference, recorded, columns):
    rows, used, wrong = explanations(), set(), []
    for column, facts in columns.items():
        n = 0
        for key in sorted(set(reference) | set(facts)):
            ours, theirs = facts.get(key, 'absent'), reference.get(key, 'absent')
            if ours == theirs:
                continue
            if recorded and (any(fnmatch.fnmatchcase(key, p) for p in OF_THE_HOST) or (key.startswith('call ') and ours == 'ENOSYS')):
                continue
            n += 1
            if not explained(rows, used, column, key, ours):
                wrong.append('%s: %s = %s; docker has %s' % (column, key, ours, theirs))
        print('# %s: %d of %d facts differ from docker' % (column, n, len(facts)))
    # With everything at hand, a row that explains nothing is about another host, or about what has been mended.
    for _, _, line in rows:
        if line not in used and len(columns) > 7:
            print('# not needed here: ' + line)
    return wrong


def summary(facts):
    """Many facts as one, for people."""
    refused = sorted(key[len('call '):] for key, value in facts.items() if key.startswith('call ') and value != 'reached')
    facts['refused calls'] = '%d of %d' % (len(refused), sum(key.startswith('call ') for key in facts))
    hidden = [key.split()[1] for key, value in facts.items() if key.startswith('content ') and value == 'nothing in it'
              and 'mount ' + key.split()[1] in facts]
    facts['masked'] = ' '.join(sorted(hidden)) or '-'
    facts['read-only'] = ' '.join(sorted(key.split()[1] for key, value in facts.items() if key.startswith('writable ') and value == 'no')) or '-'
    nodes = [key.split()[1] for key, value in sorted(facts.items()) if key.startswith('device ') and value.split()[0] in ('device', 'disk')]
    facts['devices'] = ' '.join(nodes) if len(nodes) < 20 else '%d, all of the host' % len(nodes)
    facts['descriptors'] = ', '.join('%s %s' % (key.split()[1], value) for key, value in sorted(facts.items()) if key.startswith('descriptor '))
    return facts


def cell(columns, names):
    """One value, or each with the names of who has it."""
    by_value = {}
    for name in names:
        by_value.setdefault(columns[name].replace('\t', ' ') or 'none', []).append(name)
    if len(by_value) == 1:
        return next(iter(by_value))
    most = max(by_value, key=lambda value: len(by_value[value]))
    return '; '.join([most] + ['%s: %s' % (', '.join(who), value) for value, who in by_value.items() if value != most])


def print_table(peer_columns, columns):
    every = {name: summary(dict(facts)) for name, facts in {**peer_columns, **columns}.items()}
    heads = [[name] for name in peer_columns] + [list(columns)]
    print('| fact | %s | cbuild |\n|%s' % (' | '.join(peer_columns), '---|' * (len(heads) + 1)))
    for key in SHOWN:
        values = {name: facts.get(key, 'absent') for name, facts in every.items()}
        print('| %s | %s |' % (key, ' | '.join(cell(values, names) for names in heads)))


def main():
    work, what = os.path.join(os.path.abspath(sys.argv[1]), 'containment'), (sys.argv[2:] or ['compare'])[0]
    os.mkdir(work)
    context = make_context(work)
    # First: docker turns IPv4 forwarding of the host on, which every network namespace begins with from then on.
    others = peers(work, context)
    columns = {name: see(Rung(work, name), context, work) for name in rungs(work)}
    recorded = 'docker' not in others
    if what == 'table':
        return print_table(others, columns)
    if what == 'record':
        with open(RECORDED, 'w', encoding='utf-8') as f:
            f.write(compact(others['docker']))
        return None
    reference = others.pop('docker', None)
    if recorded:
        print('SKIPPED: docker itself; compared with what was recorded of it')
        with open(RECORDED, encoding='utf-8') as f:
            reference = expand(parse(f.read()))
    wrong = compare(reference, recorded, {**columns, **others})
    for line in wrong:
        print('NOT EXPLAINED: ' + line)
    print('# %d rungs and %d peers compared, %d differences not explained' % (len(columns), len(others) + (not recorded), len(wrong)))
    return 1 if wrong or not columns else 0


if __name__ == '__main__':
    sys.exit(main())
