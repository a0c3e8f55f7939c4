"""The builders that are compared. Each makes one image of a case and says where it is."""
import ctypes
import os
import re
import shutil
import signal
import subprocess
import time

TIMEOUT = 180
OCI_OUTPUT = 'type=oci,tar=false,compression=uncompressed,dest='


class Failed(Exception):
    """The builder refuses the case; the text is what it printed."""


class NoImage(Exception):
    """The builder makes something that cannot be had as an image."""


class Unusable(Exception):
    """The builder cannot work on this machine; the text says why."""


def end_with_parent():
    """In a fresh child: SIGTERM when the test is killed, so that no daemon stays."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def run(command, cwd, env, seconds=TIMEOUT):
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, check=False)
    text = done.stdout.decode('utf-8', 'replace')
    if done.returncode:
        raise Failed(text)
    return text


def unmount_below(directory):
    with open('/proc/self/mounts', encoding='utf-8') as f:
        mounts = [line.split()[1] for line in f if line.split()[1].startswith(directory + '/')]
    for mount in reversed(mounts):
        subprocess.run(['umount', '-l', mount], capture_output=True, check=False)


class Cbuild:
    name = 'cbuild'

    def __init__(self, work):
        self.program, self.env = os.environ['CBUILD'], dict(os.environ)

    def build(self, case, text, out):
        run([self.program, 'build', '--no-cache', '--progress=plain', '-f', text, '-o',
             OCI_OUTPUT + out + case.keys['output'], *case.options, 'context'], case.directory, self.env)
        return out

    def close(self):
        pass


class Buildah:
    """Debian's buildah, with a storage of its own."""
    name = 'buildah'

    def __init__(self, work):
        if not shutil.which('buildah'):
            raise Unusable('buildah is not installed')
        if os.getuid() != 0:
            raise Unusable('buildah is compared by root only')
        self.work = work + '/buildah'
        os.mkdir(self.work)
        with open(self.work + '/registries.conf', 'w', encoding='utf-8') as f:
            f.write('[[registry]]\nprefix = "localhost"\nlocation = "localhost"\ninsecure = true\n')
        with open(self.work + '/policy.json', 'w', encoding='utf-8') as f:
            f.write('{"default":[{"type":"insecureAcceptAnything"}]}\n')
        self.policy = ['--signature-policy', self.work + '/policy.json']
        self.base = ['buildah', '--root', self.work + '/root', '--runroot', self.work + '/run', '--registries-conf',
                     self.work + '/registries.conf']
        self.env = dict(os.environ, TMPDIR=self.work)
        text = subprocess.run(['buildah', '--version'], capture_output=True, text=True, check=False).stdout
        self.version = 'buildah ' + (re.search(r'version (\d+\.\d+)', text) or ['', '?'])[1]

    def build(self, case, text, out):
        os.mkdir(out)
        run([*self.base, 'build', '-q', '--format', 'docker', '--no-cache', '--tls-verify=false', '--isolation', 'chroot',
             '--iidfile', out + '/iid', *self.policy, '-f', text, *case.options, 'context'], case.directory, self.env)
        with open(out + '/iid', encoding='utf-8') as f:
            image = f.read().strip()
        run([*self.base, 'push', '-q', *self.policy, image, 'docker-archive:' + out + '/image.tar'], case.directory, self.env)
        return out + '/image.tar'

    def close(self):
        subprocess.run([*self.base, 'rmi', '-a', '-f'], env=self.env, capture_output=True, check=False)
        # A build that fails leaves its container mounted.
        unmount_below(self.work)


class Docker:
    """The BuildKit of Debian's dockerd, which is started for this with its own socket and data, and touches no network."""
    name = 'docker'

    def __init__(self, work):
        self.daemon = None
        self.client = shutil.which('docker', path='/usr/bin:' + os.environ['PATH'])
        if not self.client or not shutil.which('dockerd'):
            raise Unusable('dockerd is not installed (.ci/packages peers)')
        if os.getuid() != 0:
            raise Unusable('dockerd is for root only')
        self.work = work + '/docker'
        os.mkdir(self.work)
        with open(self.work + '/daemon.json', 'w', encoding='utf-8') as f:
            f.write('{}')
        self.env = dict(os.environ, DOCKER_HOST='unix://%s/socket' % self.work, DOCKER_BUILDKIT='1', DOCKER_CONFIG=self.work + '/client')
        text = subprocess.run(['dockerd', '--version'], capture_output=True, text=True, check=False).stdout
        self.version = 'docker ' + (re.search(r'version (\d+\.\d+)', text) or ['', '?'])[1]
        self.start(['dockerd', '--config-file', self.work + '/daemon.json', '--data-root', self.work + '/data', '--exec-root',
                    self.work + '/run', '--pidfile', self.work + '/pid', '--iptables=false', '--ip6tables=false', '--bridge=none', '-H',
                    self.env['DOCKER_HOST']])

    def start(self, command):
        log = self.work + '/log'
        with open(log, 'wb') as f:
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f, preexec_fn=end_with_parent)
        for _ in range(300):
            if subprocess.run([*self.inside('/'), self.client, 'info'], env=self.env, capture_output=True, check=False).returncode == 0:
                return
            if self.daemon.poll() is not None:
                break
            time.sleep(0.2)
        self.close()
        with open(log, encoding='utf-8', errors='replace') as f:
            raise Unusable('dockerd does not start here: ' + (f.read().strip().splitlines() or ['it says nothing'])[-1])

    def inside(self, directory):
        """What a command of the client begins with."""
        return ['env', '-C', directory]

    def build(self, case, text, out):
        os.mkdir(out)
        # This BuildKit panics on a file without FROM, and its daemon with it.
        with open(os.path.join(case.directory, text), encoding='utf-8') as f:
            if not re.search(r'(?mi)^\s*FROM\s', f.read()):
                raise Failed('not sent: no FROM')
        network = [] if any(o.startswith('--network') for o in case.options) else ['--network=none']
        run([self.client, 'build', '--progress=plain', '--no-cache', *network, '--iidfile', out + '/iid', '-f', text, *case.options,
             'context'], case.directory, self.env)
        with open(out + '/iid', encoding='utf-8') as f:
            image = f.read().strip()
        try:
            run([self.client, 'save', '-o', out + '/image.tar', image], case.directory, self.env)
        except Failed as e:
            raise NoImage(str(e)) from e
        return out + '/image.tar'

    def close(self):
        if self.daemon:
            self.daemon.terminate()
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None
        unmount_below(self.work)


class BuildKit(Docker):
    """The BuildKit of a new dockerd, in a root of its own (see buildkit in this folder), whose layers are containerd's."""
    name = 'buildkit'

    def __init__(self, work):
        self.daemon = None
        root = os.environ.get('CBUILD_BUILDKIT', '/var/tmp/cbuild-buildkit')
        if os.getuid() != 0:
            raise Unusable('dockerd is for root only')
        if not os.path.exists(root + '/usr/sbin/dockerd'):
            raise Unusable('no root of it at %s, or where CBUILD_BUILDKIT says: tests/differential/buildkit install DIR' % root)
        # All is below one directory, the cases as well, which the daemon's mount namespace has under the same name.
        self.work, self.root = work + '/buildkit', root
        os.mkdir(self.work)
        self.client = '/usr/bin/docker'
        self.env = dict(os.environ, DOCKER_HOST='unix://%s/socket' % self.work, DOCKER_BUILDKIT='1',
                        BUILDX_NO_DEFAULT_ATTESTATIONS='1', PATH='/usr/sbin:/usr/bin:/sbin:/bin')
        here = os.path.dirname(os.path.abspath(__file__))
        self.start([here + '/buildkit', 'start', root, work])
        text = subprocess.run([*self.inside('/'), 'dockerd', '--version'], capture_output=True, text=True, check=False).stdout
        self.version = 'the BuildKit of docker ' + (re.search(r'version (\d+\.\d+)', text) or ['', '?'])[1]

    def inside(self, directory):
        pid = str(self.daemon.pid)
        return ['nsenter', '--target', pid, '--mount', '--root', 'env', '-C', directory]

    def build(self, case, text, out):
        network = [] if any(o.startswith('--network') for o in case.options) else ['--network=none']
        # What a client sends is taken for a change of what the same client sent before, and folders that hold changes get
        # the time of the build. So it is another client each time.
        env = dict(self.env, DOCKER_CONFIG='%s-client' % out)
        run([*self.inside(case.directory), self.client, 'build', '--progress=plain', '--no-cache', *network, '-o',
             OCI_OUTPUT + out + case.keys['output'], '-f', text, *case.options, 'context'], None, env)
        return out


PEERS = {'docker': Docker, 'buildah': Buildah, 'buildkit': BuildKit}
