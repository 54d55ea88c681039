/*
 * The limit: the system calls that taking and giving back a free address makes, and nothing else.
 * They are the calls that libuv makes for it (statx, not stat), as strace shows them.
 * usage: take LOCK_FILE ADDRESS COUNT; prints nanoseconds for one take and give back; or for one refusal, if another
 * process holds the lock.
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

static char content[4096], table[65536];

static void read_once(const char *format, int pid, int fd)
{
	char path[64];
	snprintf(path, sizeof path, format, pid, fd);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 || read(file, table, sizeof table) < 0 || close(file) != 0)
		exit(1);
}

/* The record names the holder, and /proc confirms it. */
static void look_at_holder(const char *lock)
{
	struct statx status;
	char path[64];
	const char *number = strstr(content, "\"fd\":");
	int pid = atoi(content), fd = number == NULL ? 0 : atoi(number + 5);
	statx(AT_FDCWD, lock, AT_SYMLINK_NOFOLLOW, STATX_ALL, &status);
	read_once("/proc/%d/stat", pid, fd);
	read_once("/proc/%d/fdinfo/%d", pid, fd);
	read_once("/proc/%d/cmdline", pid, fd);
	snprintf(path, sizeof path, "/proc/%d", pid);
	statx(AT_FDCWD, path, 0, STATX_ALL, &status);
	read_once("/proc/%d/stat", pid, fd);
	if (readlink("/proc/self", path, sizeof path) < 0)
		exit(1);
}

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
		if (status.stx_size > 0 && pread(fd, content, sizeof content, 0) < 0)
			return 1;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			look_at_holder(lock);
			close(fd);
			continue;
		}
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
