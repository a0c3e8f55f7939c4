/*
 * Talks to a socket from inside a step. ask N SOCKET: sends request N, of one byte, to an agent, and prints the
 * answer's bytes as numbers. ask - SOCKET: sends what stands on standard input, and prints all that comes back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned char data[4096] = { 0, 0, 0, 1 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ssize_t n;

	if (argc != 3)
		return 2;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", argv[2]);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return perror(argv[2]), 1;
	if (strcmp(argv[1], "-") != 0) {
		data[4] = (unsigned char)atoi(argv[1]);
		/* An agent keeps the connection: nothing comes behind its answer, so that is waited for no longer. */
		if (write(fd, data, 5) != 5 || (n = read(fd, data, sizeof(data))) <= 0)
			return perror("ask"), 1;
		for (ssize_t i = 0; i < n; i++)
			printf(" %d", data[i]);
		return puts(" ") < 0;
	}
	while ((n = read(0, data, sizeof(data))) > 0)
		if (write(fd, data, (size_t)n) != n)
			return perror("send"), 1;
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, data, sizeof(data))) > 0)
		fwrite(data, 1, (size_t)n, stdout);
	return n < 0;
}
