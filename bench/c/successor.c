/*
 * The limit of taking over: block in flock(2), then unlink, bind and listen.
 * usage: successor LOCK_FILE ADDRESS; says "waiting" before it blocks, and "serving" with the time when it
 * listens; answers every client with its pid.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
	int lock = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lock < 0 || server < 0)
		return 1;
	puts("{\"event\":\"waiting\"}");
	fflush(stdout);
	if (flock(lock, LOCK_EX) != 0)
		return 1;
	unlink(argv[2]);
	if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, 511) != 0)
		return 1;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("{\"event\":\"serving\",\"at\":\"%lld\"}\n", now.tv_sec * 1000000000LL + now.tv_nsec);
	fflush(stdout);
	char answer[32];
	int length = snprintf(answer, sizeof answer, "%d\n", (int)getpid());
	for (;;) {
		int client = accept(server, NULL, NULL);
		if (client < 0)
			return 1;
		if (write(client, answer, length) < 0)
			return 1;
		close(client);
	}
}
