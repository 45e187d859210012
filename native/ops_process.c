/*
 * What the child does to itself: its user, its privileges, its limits. Of what stands here only the OOM score is
 * set from the host side.
 */
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

int op_set_user(struct executor *x, const struct step *s)
{
	struct list groups = s->v[SET_USER_GROUPS].list;
	static gid_t list[NGROUPS_MAX];
	gid_t gid = (gid_t)s->v[SET_USER_GID].number;
	uid_t uid = (uid_t)s->v[SET_USER_UID].number;
	size_t count = 0;
	if (groups.count > countof(list))
		return fail(x, E2BIG, "%u supplementary groups", groups.count);
	while (groups.count > 0)
		list[count++] = next_number(&groups);
	if (s->v[SET_USER_SET_GROUPS].number && setgroups(count, list) < 0)
		return fail(x, errno, "setgroups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail(x, errno, "keep capabilities");
	if (setresgid(gid, gid, gid) < 0)
		return fail(x, errno, "setgid %u", gid);
	if (setresuid(uid, uid, uid) < 0)
		return fail(x, errno, "setuid %u", uid);
	prctl(PR_SET_DUMPABLE, 0);
	/* what root may not enter, on a file system of another machine, its owner may */
	return x->late_cwd ? enter_cwd(x, x->late_cwd) : 0;
}

int op_set_umask(struct executor *x, const struct step *s)
{
	(void)x;
	umask((mode_t)s->v[SET_UMASK_MASK].number);
	return 0;
}

/* --- capabilities and privileges --- */

int op_drop_bounding(struct executor *x, const struct step *s)
{
	uint64_t keep = s->v[DROP_BOUNDING_KEEP].number;
	for (unsigned long cap = 0; cap < 64; cap++) {
		int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0) /* past the last one that this kernel knows */
			return 0;
		if (has && !(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return fail(x, errno, "drop capability %lu from the bounding set", cap);
	}
	return 0;
}

int op_set_capabilities(struct executor *x, const struct step *s)
{
	uint64_t effective = s->v[SET_CAPABILITIES_EFFECTIVE].number, permitted = s->v[SET_CAPABILITIES_PERMITTED].number;
	uint64_t inheritable = s->v[SET_CAPABILITIES_INHERITABLE].number, ambient = s->v[SET_CAPABILITIES_AMBIENT].number;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
	};
	if (syscall(SYS_capset, &header, data) < 0)
		return fail(x, errno, "capset");
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long cap = 0; cap < 64; cap++)
		if ((ambient >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return fail(x, errno, "raise ambient capability %lu", cap);
	return 0;
}

int op_set_no_new_privileges(struct executor *x, const struct step *s)
{
	(void)s;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(x, errno, "no_new_privs") : 0;
}

/* --- attributes of the process --- */

int op_new_session(struct executor *x, const struct step *s)
{
	(void)s;
	return setsid() < 0 ? fail(x, errno, "setsid") : 0;
}

int op_new_keyring(struct executor *x, const struct step *s)
{
	enum { join_session_keyring = 1 };
	if (syscall(SYS_keyctl, join_session_keyring, s->v[NEW_KEYRING_NAME].text.at) < 0 && errno != ENOSYS)
		return fail(x, errno, "join session keyring");
	return 0;
}

int op_set_rlimit(struct executor *x, const struct step *s)
{
	struct rlimit limit = {s->v[SET_RLIMIT_SOFT].number, s->v[SET_RLIMIT_HARD].number};
	unsigned resource = (unsigned)s->v[SET_RLIMIT_RESOURCE].number;
	if (prlimit(0, resource, &limit, NULL) < 0)
		return fail(x, errno, "limit %u to %llu:%llu", resource, (unsigned long long)limit.rlim_cur,
		            (unsigned long long)limit.rlim_max);
	return 0;
}

int op_set_priority(struct executor *x, const struct step *s)
{
	enum { ioprio_who_process = 1 };
	uint64_t value = s->v[SET_PRIORITY_VALUE].number;
	switch (s->v[SET_PRIORITY_KIND].number) {
	case 1: return syscall(SYS_ioprio_set, ioprio_who_process, 0, (int)value) < 0 ? fail(x, errno, "IO priority") : 0;
	case 2: return personality((unsigned long)value) < 0 ? fail(x, errno, "personality") : 0;
	default: return fail(x, EINVAL, "kind of priority");
	}
}

int op_set_scheduler(struct executor *x, const struct step *s)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {
		.size = 48,
		.policy = (uint32_t)s->v[SET_SCHEDULER_POLICY].number,
		.flags = s->v[SET_SCHEDULER_FLAGS].number,
		.nice = (int32_t)s->v[SET_SCHEDULER_NICE].number,
		.priority = (uint32_t)s->v[SET_SCHEDULER_PRIORITY].number,
		.runtime = s->v[SET_SCHEDULER_RUNTIME].number,
		.deadline = s->v[SET_SCHEDULER_DEADLINE].number,
		.period = s->v[SET_SCHEDULER_PERIOD].number,
	};
	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? fail(x, errno, "policy %u", attr.policy) : 0;
}

int op_set_affinity(struct executor *x, const struct step *s)
{
	const struct bytes *mask = &s->v[SET_AFFINITY_MASK].text;
	return syscall(SYS_sched_setaffinity, 0, mask->length, mask->at) < 0 ? fail(x, errno, "CPU affinity") : 0;
}

int op_set_oom_score(struct executor *x, const struct step *s)
{
	const struct bytes *value = &s->v[SET_OOM_SCORE_VALUE].text;
	int r = write_proc_of(x->child, "oom_score_adj", value->at, value->length);
	return r < 0 ? fail(x, -r, "oom_score_adj = %s", value->at) : 0;
}

int op_set_memory_policy(struct executor *x, const struct step *s)
{
	const struct bytes *nodes = &s->v[SET_MEMORY_POLICY_NODES].text;
	unsigned long mask[16] = {0};
	if (nodes->length > sizeof mask)
		return fail(x, EINVAL, "more than %zu nodes", 8 * sizeof mask);
	memcpy(mask, nodes->at, nodes->length);
	/* the kernel takes one bit less than it is told of */
	if (syscall(SYS_set_mempolicy, (int)s->v[SET_MEMORY_POLICY_MODE].number, nodes->length ? mask : NULL,
	            nodes->length ? nodes->length * 8 + 1 : 0) < 0)
		return fail(x, errno, "memory policy");
	return 0;
}

int op_set_death_signal(struct executor *x, const struct step *s)
{
	if (prctl(PR_SET_PDEATHSIG, s->v[SET_DEATH_SIGNAL_SIGNAL].number, 0, 0, 0) < 0)
		return fail(x, errno, "parent death signal");
	/* the parent may have died before the call: its end of the pair is closed then, or was reset */
	char byte;
	ssize_t n = recv(x->peer, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	/* a filter that is loaded already may refuse the call, which says nothing about the parent */
	if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))
		raise(SIGKILL);
	return 0;
}
