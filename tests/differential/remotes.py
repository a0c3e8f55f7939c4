"""What ADD fetches: a web server and a git server on loopback, whose files are the same each time."""
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RECIPE = r'''
umask 022
mkdir -p web/sub t/sub repos
printf 'hello\n' >web/hello.txt
printf 'named\n' >web/sub/name
printf 'one\n' >t/one
printf 'two\n' >t/sub/two
tar --sort=name --owner=5 --group=6 --numeric-owner --mtime=@1300000000 -C t -cf web/t.tar one sub
gzip -n <web/t.tar >web/t.tgz
touch -d @1500000000 web/hello.txt web/t.tar web/t.tgz
touch -d @1790000000 web/sub/name
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME="$PWD" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a
export GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
git init -q -b main repos/app.git
cd repos/app.git
mkdir -p sub/deep
echo one >file
printf '#!/bin/sh\n' >tool
chmod 755 tool
echo deep >sub/deep/file
ln -s deep/file sub/link
git add .
git commit -qm one
git tag v1
git checkout -q -b other
echo other >file
git commit -qam other
git checkout -qf main
'''


class Remotes:
    """Serves until close(). Usable as a context manager."""

    def __init__(self, work):
        self.servers, self.work = [], work + '/remotes'
        os.mkdir(self.work)
        subprocess.run(['sh', '-e', '-c', RECIPE], cwd=self.work, check=True, stdin=subprocess.DEVNULL)
        self.names = {}

    def __enter__(self):
        try:
            self.names = {'@WEB@': 'http://127.0.0.1:%d' % self.web(), '@GIT@': 'git://127.0.0.1:%d' % self.git()}
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, *command):
        self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.servers[-1]

    def web(self):
        port = self.work + '/port'
        self.start(sys.executable, HERE + '/../e2e/webserver.py', self.work + '/web', port)
        for _ in range(200):
            if os.path.exists(port) and os.path.getsize(port):
                with open(port, encoding='utf-8') as f:
                    return int(f.read())
            time.sleep(0.05)
        raise SystemExit('the web server does not start')

    def git(self):
        repos = self.work + '/repos'
        for _ in range(20):
            port = random.randrange(20000, 32000)
            server = self.start('git', 'daemon', '--listen=127.0.0.1', '--port=%d' % port, '--base-path=' + repos, '--export-all',
                                '--reuseaddr', repos)
            for _ in range(100):
                if server.poll() is not None:
                    break
                if subprocess.run(['git', 'ls-remote', 'git://127.0.0.1:%d/app.git' % port], capture_output=True, check=False,
                                  timeout=20).returncode == 0:
                    return port
                time.sleep(0.05)
        raise SystemExit('git daemon does not start')

    def close(self):
        for server in self.servers:
            server.terminate()
            server.wait()
        self.servers = []

    def put(self, text):
        """@text with the addresses in place of their names."""
        for name, address in self.names.items():
            text = text.replace(name, address)
        return text

    def take(self, line):
        """The reverse: what does not change from run to run."""
        for name, address in self.names.items():
            line = line.replace(address, name)
        return line
