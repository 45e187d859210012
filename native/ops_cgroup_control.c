/* What changes a whole cgroup: freezing, the device program of v2, delegation. */
#include <linux/bpf.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "executor.h"

/* --- freezing --- */

const char *freezer_file(bool v1)
{
	return v1 ? "freezer.state" : "cgroup.freeze";
}

int write_freezer(int dir, bool v1, bool frozen)
{
	const char *value = v1 ? (frozen ? "FROZEN" : "THAWED") : (frozen ? "1" : "0");
	return write_file_at(dir, freezer_file(v1), value, strlen(value));
}

bool is_frozen(int dir, const char *path)
{
	char state[32];
	return read_file_at(dir, path, state, sizeof state) > 0 && (state[0] == 'F' || state[0] == '1');
}

/*
 * A v1 cgroup may stay at FREEZING for good when processes are born in it meanwhile. Writing again helps, and so does
 * a thaw from time to time (kernel documentation before 5.0, freezer-subsystem.txt).
 */
static int freeze_v1(struct executor *x, int dir, int64_t deadline)
{
	char state[32];
	for (unsigned tries = 1; now_ms() < deadline; tries++) {
		if (tries % 50 == 0) {
			write_freezer(dir, true, false);
			pause_us(10000);
		}
		int r = write_freezer(dir, true, true);
		if (r < 0)
			return fail(x, -r, "freezer.state = FROZEN");
		if (tries % 25 == 0)
			pause_us(10);
		ssize_t n = read_file_at(dir, "freezer.state", state, sizeof state);
		if (n < 0)
			return fail(x, (int)-n, "freezer.state");
		if (strncmp(state, "FROZEN", 6) == 0)
			return 0;
		if (tries > 10)
			pause_us(200);
	}
	return fail(x, ETIMEDOUT, "unable to freeze");
}

/* The kernel raises POLLPRI on cgroup.events whenever one of its values changes. */
static int await_frozen(struct executor *x, int dir, int64_t deadline)
{
	char text[256];
	int events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (events < 0)
		return fail(x, errno, "cgroup.events");
	for (;;) {
		ssize_t n = pread(events, text, sizeof text - 1, 0);
		text[n < 0 ? 0 : n] = 0;
		if (n < 0 || strstr(text, "frozen 1"))
			break;
		int64_t left = deadline - now_ms();
		struct pollfd change = {.fd = events, .events = POLLPRI};
		if (left <= 0) {
			close(events);
			return fail(x, ETIMEDOUT, "waiting for the cgroup to freeze");
		}
		poll(&change, 1, (int)left);
	}
	close(events);
	return 0;
}

static int freeze_v2(struct executor *x, int dir, int64_t deadline)
{
	int r = write_freezer(dir, false, true);
	return r < 0 ? fail(x, -r, "cgroup.freeze = 1") : await_frozen(x, dir, deadline);
}

static int thaw(struct executor *x, int dir, bool v1)
{
	int r = write_freezer(dir, v1, false);
	return r < 0 ? fail(x, -r, v1 ? "freezer.state = THAWED" : "cgroup.freeze = 0") : 0;
}

int freeze_cgroup(struct executor *x, int dir, bool v1, bool frozen, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	if (!frozen)
		return thaw(x, dir, v1);
	int r = v1 ? freeze_v1(x, dir, deadline) : freeze_v2(x, dir, deadline);
	if (r < 0) {
		/* half frozen is worse than running */
		struct failure first = x->failure;
		thaw(x, dir, v1);
		x->failure = first;
	}
	return r;
}

int op_freeze_cgroup(struct executor *x, const struct step *s)
{
	bool v1 = s->v[FREEZE_CGROUP_VERSION].number == 1, frozen = s->v[FREEZE_CGROUP_FROZEN].number;
	return freeze_cgroup(x, reg(x, &s->v[FREEZE_CGROUP_DIR]), v1, frozen, (int)s->v[FREEZE_CGROUP_TIMEOUT_MS].number);
}

/* --- device programs --- */

enum { PROGRAM_LIMIT = 64 }; /* BPF_CGROUP_MAX_PROGS */

static int load_program(struct executor *x, const struct bytes *program)
{
	char log[256] = "";
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)program->at,
		.insn_cnt = program->length / 8,
		.license = (uint64_t)(uintptr_t)"GPL",
		.log_level = 1,
		.log_buf = (uint64_t)(uintptr_t)log,
		.log_size = sizeof log,
	};
	int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	if (fd < 0 && errno == ENOSPC) { /* the log was too small: that is no reason to refuse the program */
		load.log_level = 0;
		load.log_buf = load.log_size = 0;
		fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	}
	return fd < 0 ? fail(x, errno, "load device program %s", log) : fd;
}

/* Ids of the programs that are attached to the cgroup itself; -errno. */
static int attached_programs(int dir, uint32_t ids[PROGRAM_LIMIT])
{
	union bpf_attr query = {.query = {
		.target_fd = (uint32_t)dir,
		.attach_type = BPF_CGROUP_DEVICE,
		.prog_ids = (uint64_t)(uintptr_t)ids,
		.prog_cnt = PROGRAM_LIMIT,
	}};
	int r = (int)syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query);
	return r < 0 ? -errno : (int)query.query.prog_cnt;
}

static int program_by_id(uint32_t id)
{
	union bpf_attr get = {.prog_id = id};
	return (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &get, sizeof get);
}

/* Of several programs all must allow: so the new one comes first, and what is allowed at any moment is too little. */
static int replace_programs(int dir, int program)
{
	uint32_t ids[PROGRAM_LIMIT];
	int count = attached_programs(dir, ids);
	int only = count == 1 ? program_by_id(ids[0]) : -1;
	union bpf_attr attach = {
		.target_fd = (uint32_t)dir,
		.attach_bpf_fd = (uint32_t)program,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI | (only < 0 ? 0 : BPF_F_REPLACE),
		.replace_bpf_fd = only < 0 ? 0 : (uint32_t)only,
	};
	int r = count < 0 ? count : syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) < 0 ? -errno : 0;
	if (only >= 0)
		close(only);
	for (int i = 0; r == 0 && only < 0 && i < count; i++) {
		int old = program_by_id(ids[i]);
		union bpf_attr detach = {
			.target_fd = (uint32_t)dir, .attach_bpf_fd = (uint32_t)old, .attach_type = BPF_CGROUP_DEVICE};
		if (old < 0 || syscall(SYS_bpf, BPF_PROG_DETACH, &detach, sizeof detach) < 0)
			r = errno == ENOENT ? 0 : -errno;
		if (old >= 0)
			close(old);
	}
	return r;
}

int op_set_device_filter(struct executor *x, const struct step *s)
{
	char path[32];
	int program = load_program(x, &s->v[SET_DEVICE_FILTER_PROGRAM].text);
	if (program < 0)
		return program;
	snprintf(path, sizeof path, "/proc/self/fd/%d", reg(x, &s->v[SET_DEVICE_FILTER_DIR]));
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : replace_programs(dir, program);
	if (dir >= 0)
		close(dir);
	close(program);
	return r < 0 ? fail(x, -r, "attach device program") : 0;
}

/* --- delegation --- */

int op_delegate_cgroup(struct executor *x, const struct step *s)
{
	struct list files = s->v[DELEGATE_CGROUP_FILES].list;
	uid_t uid = (uid_t)s->v[DELEGATE_CGROUP_UID].number;
	int dir = reg(x, &s->v[DELEGATE_CGROUP_DIR]);
	if (fchownat(dir, "", uid, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return fail(x, errno, "the cgroup itself");
	while (files.count > 0) {
		const char *name = next_text(&files).at;
		if (strchr(name, '/'))
			return fail(x, EINVAL, "%s holds a slash", name);
		if (fchownat(dir, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return fail(x, errno, "%s", name);
	}
	return 0;
}
