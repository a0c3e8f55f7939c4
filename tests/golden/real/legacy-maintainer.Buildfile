from ubuntu:14.04
maintainer Someone <someone@example.org>

env DEBIAN_FRONTEND noninteractive
run echo "deb http://archive.example.org/ubuntu trusty main universe" > /etc/apt/sources.list
run apt-get -y update
run apt-get -y install python-software-properties openssh-server supervisor

# sshd needs this directory
run mkdir -p /var/run/sshd

add ./supervisord.conf /etc/supervisord.conf
add ./start.sh /start.sh
volume ["/var/log", "/data"]
expose 22 80

cmd ["/bin/bash", "/start.sh"]
