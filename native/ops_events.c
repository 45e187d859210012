/*
 * Lines that a shim appends to a file which others append to as well: the event log of a store. What a line says
 * comes from the plan. Memory is watched by the kernel's own counter of kills, `oom_kill N` in either version's file:
 * v2 wakes whoever polls that file, v1 has an eventfd, which it signals before it kills.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shim.h"

/* How long the counter may come behind the eventfd, and how often it is looked at in that time. */
#define LOOKS 20
#define LOOK_MS 100
/* A container that is killed in over and over fills no disk with lines. */
#define PAUSE_MS 1000
/* A container's name is short enough to be a file's. */
#define NAME_LIMIT 256

/* Annotations and labels may be long; untouched pages cost nothing. */
static char the_line[RECORD_LIMIT];

/*
 * One write with O_APPEND: lines of several processes do not mix. Whoever else appends keeps the file short; should
 * nobody, what would make it longer than `limit` is dropped.
 */
static int append_line(const char *path, uint64_t limit, const char *line, size_t bytes)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : (uint64_t)st.st_size + bytes > limit ? 0 : write_all(fd, line, bytes);
	close(fd);
	return r;
}

/* The name that the container has now. Nobody else writes below the state directory, and a name needs no escapes. */
static const char *name_now(const char *renamed, const char *known, char *name, size_t size)
{
	int fd = open(renamed, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return known;
	ssize_t n = read(fd, name, size - 1);
	close(fd);
	if (n <= 0)
		return known;
	name[n] = 0;
	return name;
}

int op_append_line(struct executor *x, const struct step *s)
{
	char code[16], now[40], name[NAME_LIMIT];
	uint32_t status[3];
	/* what never became its program has no end to tell of */
	if (!x->child_reaped || !x->supervised)
		return 0;
	exit_payload(x, status);
	snprintf(code, sizeof code, "%u", status[0]);
	log_time(now);
	const char *called = name_now(s->v[APPEND_LINE_RENAMED].text.at, s->v[APPEND_LINE_NAME].text.at, name, sizeof name);
	const struct late values[] = {{"@CODE@", code}, {"@TIME@", now}, {"@NAME@", called}};
	long bytes = fill_in(s->v[APPEND_LINE_LINE].text.at, values, countof(values), the_line, sizeof the_line);
	if (bytes < 0)
		return fail(x, E2BIG, "line");
	const char *path = s->v[APPEND_LINE_PATH].text.at;
	int r = append_line(path, s->v[APPEND_LINE_LIMIT_BYTES].number, the_line, (size_t)bytes);
	return r < 0 ? fail(x, -r, "%s", path) : 0;
}

int op_watch_oom(struct executor *x, const struct step *s)
{
	struct oom_watch *w = &the_oom_watch;
	int dir = reg(x, &s->v[WATCH_OOM_DIR]);
	if (w->path)
		return fail(x, EINVAL, "watch-oom stands twice");
	*w = (struct oom_watch){.fd = -1, .counter = openat(dir, "memory.events", O_RDONLY | O_CLOEXEC)};
	bool v2 = w->counter >= 0;
	if (!v2)
		w->counter = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	/* a cgroup without a memory controller */
	if (w->counter < 0)
		return errno == ENOENT ? 0 : fail(x, errno, "memory.oom_control");
	w->fd = v2 ? w->counter : watch_memory_v1(x, dir);
	w->events = v2 ? POLLPRI : POLLIN;
	if (w->fd < 0)
		return w->fd;
	w->told = oom_kills(w->counter);
	w->path = s->v[WATCH_OOM_PATH].text.at;
	w->limit = s->v[WATCH_OOM_LIMIT_BYTES].number;
	w->line = s->v[WATCH_OOM_LINE].text.at;
	w->name = s->v[WATCH_OOM_NAME].text.at;
	w->renamed = s->v[WATCH_OOM_RENAMED].text.at;
	return 0;
}

static void stop_watching(struct oom_watch *w)
{
	if (w->fd >= 0 && w->fd != w->counter)
		close(w->fd);
	close(w->counter);
	w->fd = -1;
	w->looks = 0;
}

static void tell_kill(const struct oom_watch *w)
{
	char now[40], name[NAME_LIMIT];
	log_time(now);
	const struct late values[] = {{"@TIME@", now}, {"@NAME@", name_now(w->renamed, w->name, name, sizeof name)}};
	long bytes = fill_in(w->line, values, countof(values), the_line, sizeof the_line);
	int r = bytes < 0 ? -E2BIG : append_line(w->path, w->limit, the_line, (size_t)bytes);
	/* there is nobody to tell; at the container's end the counter is read once more */
	if (r < 0)
		dprintf(2, "gantry-shim: %s: %s\n", w->path, errno_words(-r));
}

void oom_look(bool woken, int64_t now_ms)
{
	struct oom_watch *w = &the_oom_watch;
	uint64_t count;
	if (woken) {
		if (w->fd != w->counter && read(w->fd, &count, sizeof count) < 0 && errno != EAGAIN)
			return stop_watching(w);
		w->looks = w->fd == w->counter ? 1 : LOOKS;
	}
	if (w->looks == 0)
		return;
	int64_t killed = oom_kills(w->counter);
	if (killed < 0)
		return stop_watching(w);
	if (killed <= w->told) {
		w->looks--;
		return;
	}
	if (w->told_at && now_ms - w->told_at < PAUSE_MS)
		return;
	w->told = killed;
	w->told_at = now_ms;
	w->looks = 0;
	tell_kill(w);
}

int oom_timeout(void)
{
	return the_oom_watch.looks > 0 ? LOOK_MS : -1;
}
