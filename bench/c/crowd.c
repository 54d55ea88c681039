/*
 * A crowded machine: processes that share out listening sockets, all with the same last path component, and locked files.
 * usage: crowd DIRECTORY PROCESSES SOCKETS LOCKS; ends with its standard input, and its children with it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void bind_socket(const char *directory, int number)
{
	char path[96];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(path, sizeof path, "%s/d%d", directory, number);
	mkdir(path, 0755);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/app.sock", path);
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 || listen(descriptor, 16) != 0)
		_exit(1);
}

static void lock_file(const char *directory, int number)
{
	char path[96];
	snprintf(path, sizeof path, "%s/l%d.lock", directory, number);
	if (flock(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), LOCK_EX) != 0)
		_exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int processes = atoi(argv[2]), sockets = atoi(argv[3]), locks = atoi(argv[4]);
	int ready[2];
	char byte;
	if (pipe(ready) != 0)
		return 1;
	for (int process = 0; process < processes; process++) {
		pid_t child = fork();
		if (child < 0)
			return 1;
		if (child > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int number = process; number < sockets; number += processes)
			bind_socket(argv[1], number);
		for (int number = process; number < locks; number += processes)
			lock_file(argv[1], number);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	for (int process = 0; process < processes; process++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	puts("{\"event\":\"ready\"}");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
