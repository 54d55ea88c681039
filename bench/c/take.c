/*
 * The limit: the system calls that taking and giving back a free address makes, and nothing else.
 * They are the calls that libuv makes for it (statx, not stat), as strace shows them.
 * usage: take LOCK_FILE ADDRESS COUNT; prints nanoseconds for one take and give back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char record[] =
	"123456\n{\"bindlock\":1,\"pid\":123456,\"fd\":17,\"since\":\"2026-01-01T00:00:00.000Z\","
	"\"uid\":0,\"command\":\"node bench\",\"host\":\"host\"}\n";

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	const char *lock = argv[1], *address = argv[2];
	long count = atol(argv[3]);
	struct statx status;
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long i = 0; i < count; i++) {
		geteuid();
		int fd = open(lock, O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return 1;
		if (statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &status) != 0)
			return 1;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0)
			return 1;
		if (statx(AT_FDCWD, lock, AT_SYMLINK_NOFOLLOW, STATX_ALL, &status) != 0)
			return 1;
		if (statx(AT_FDCWD, address, AT_SYMLINK_NOFOLLOW, STATX_ALL, &status) == 0)
			return 1;
		if (pwrite(fd, record, strlen(record), 0) < 0 || ftruncate(fd, 0) != 0 || close(fd) != 0)
			return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.0f\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / count);
	return 0;
}
