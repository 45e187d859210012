/* What the kernel does in a cgroup for want of memory, told as it happens. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "executor.h"

/* How long the kernel may take until it tells of the end of a v1 cgroup that is gone: a grace period of RCU. */
enum { REMOVAL_MS = 2000 };

int watch_memory_v1(struct executor *x, int dir)
{
	char text[32];
	int control = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return fail(x, errno, "memory.oom_control");
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int length = snprintf(text, sizeof text, "%d %d", event, control);
	int r = event < 0 ? -errno : write_file_at(dir, "cgroup.event_control", text, (size_t)length);
	close(control);
	if (r < 0) {
		if (event >= 0)
			close(event);
		return fail(x, -r, "cgroup.event_control = %s", text);
	}
	return event;
}

static int watch_v2(struct executor *x, int dir)
{
	int events = openat(dir, "memory.events", O_RDONLY | O_CLOEXEC);
	return events < 0 ? fail(x, errno, "memory.events") : events;
}

/* How often since it was asked last. If the cgroup is gone, one time stands for that, and may be yet to come. */
static uint64_t times_v1(int dir, int event)
{
	uint64_t count;
	if (read(event, &count, sizeof count) != sizeof count)
		return 0;
	struct pollfd removal = {.fd = event, .events = POLLIN};
	if (faccessat(dir, "memory.oom_control", F_OK, 0) < 0 && poll(&removal, 1, REMOVAL_MS) == 0)
		count--;
	return count;
}

int64_t oom_kills(int file)
{
	char text[512];
	ssize_t n = pread(file, text, sizeof text - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = 0;
	const char *count = strstr(text, "oom_kill ");
	return count ? strtoll(count + 9, NULL, 10) : 0;
}

/* What was counted in all; what was known before when the cgroup is gone. To have read is what lets POLLPRI come. */
static uint32_t kills_v2(int event, uint32_t before)
{
	int64_t now = oom_kills(event);
	return now < 0 ? before : (uint32_t)now;
}

static int follow(struct executor *x, const struct step *s, int dir, int event)
{
	bool v1 = s->v[WATCH_MEMORY_VERSION].number == 1, live = true;
	enum { EVENT, PROCESS, CONTROLLER, COUNT };
	struct pollfd p[COUNT] = {
		[EVENT] = {.fd = event, .events = v1 ? POLLIN : POLLPRI},
		[PROCESS] = {.fd = reg(x, &s->v[WATCH_MEMORY_PROCESS]), .events = POLLIN},
		[CONTROLLER] = {.fd = x->controller, .events = POLLIN},
	};
	uint32_t known = v1 || event < 0 ? 0 : kills_v2(event, 0);
	int r = sync_count(x, s, known);
	while (r == 0 && live) {
		if (poll(p, COUNT, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail(x, errno, "poll");
		}
		/* it says nothing unasked but its end */
		if (p[CONTROLLER].revents)
			return fail(x, ECONNABORTED, "the controller is gone");
		live = p[PROCESS].revents == 0;
		if (event < 0)
			continue;
		uint32_t count = v1 ? known + (uint32_t)times_v1(dir, event) : kills_v2(event, known);
		if (!v1 && faccessat(dir, "memory.events", F_OK, 0) < 0)
			p[EVENT].fd = -1; /* a file that is gone is ready for good */
		if (count != known)
			r = sync_count(x, s, known = count);
	}
	return r;
}

int op_watch_memory(struct executor *x, const struct step *s)
{
	int dir = reg(x, &s->v[WATCH_MEMORY_DIR]), event = -1;
	uint64_t version = s->v[WATCH_MEMORY_VERSION].number;
	if (version > 0)
		event = version == 1 ? watch_memory_v1(x, dir) : watch_v2(x, dir);
	if (version > 0 && event < 0)
		return event;
	int r = follow(x, s, dir, event);
	if (event >= 0)
		close(event);
	return r;
}
