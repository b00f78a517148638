// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"

/* Who holds our terminal, or a pipe behind us, waits for us and not for this. */
static void leave(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

	for (fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	/* A signal to our group, or from our terminal, is not for it. */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static void __attribute__((noreturn)) watch(int fd, void (*undo)(const void *context),
					    const void *context)
{
	char byte;
	ssize_t n;

	leave();
	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	/* The end of the pipe: our files are closed, and all that we called has returned. */
	if (n != 1)
		undo(context);
	_exit(0);
}

enum outcome guard_begin(struct guard *guard, void (*undo)(const void *context),
			 const void *context)
{
	int fds[2] = { -1, -1 };
	pid_t child = -1;

	guard->fd = -1;
	if (!pipe2(fds, O_CLOEXEC)) {
		child = fork();
		if (!child) {
			close(fds[1]);
			watch(fds[0], undo, context);
		}
		close(fds[0]);
		guard->fd = fds[1];
	}
	if (child > 0)
		return DONE;
	guard_end(guard);
	return error(FAILED, "no process can be started that takes it back if this one is killed: %s",
		     strerror(errno));
}

void guard_end(struct guard *guard)
{
	int e = errno;

	if (guard->fd < 0)
		return;
	/* There is nobody but the guard to wait for. */
	if (write(guard->fd, "", 1) == 1)
		wait(NULL);
	close(guard->fd);
	guard->fd = -1;
	errno = e;
}
