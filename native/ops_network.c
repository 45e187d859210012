/*
 * Network interfaces, by rtnetlink(7). A move takes the interface to another namespace and renames it in one message,
 * so that neither name can be in the way; its addresses, which the kernel drops on the way, are put back.
 */
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "executor.h"

#ifndef IFA_FLAGS
#define IFA_FLAGS 8
#endif

/* One request, or the addresses of one interface. */
struct message {
	_Alignas(NLMSG_ALIGNTO) char at[512];
	uint32_t length;
};

struct addresses {
	struct message list[128];
	uint32_t count;
};

static struct nlmsghdr *begin(struct message *m, uint16_t type, uint16_t flags, const void *body, size_t bytes)
{
	struct nlmsghdr *h = (struct nlmsghdr *)m->at;
	memset(m, 0, sizeof *m);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	memcpy(NLMSG_DATA(h), body, bytes);
	m->length = h->nlmsg_len = NLMSG_LENGTH(bytes);
	return h;
}

/* False if there is no room: lengths are checked, never trusted (CVE-2021-43784). */
static bool add(struct message *m, uint16_t type, const void *data, size_t bytes)
{
	size_t start = NLMSG_ALIGN(m->length);
	struct rtattr *attribute = (struct rtattr *)(m->at + start);
	if (bytes > sizeof m->at || start + RTA_LENGTH(bytes) > sizeof m->at)
		return false;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(bytes);
	memcpy(RTA_DATA(attribute), data, bytes);
	m->length = (uint32_t)(start + RTA_LENGTH(bytes));
	((struct nlmsghdr *)m->at)->nlmsg_len = m->length;
	return true;
}

static int open_netlink(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd;
}

/* Sends one request that is acknowledged. */
static int request(int fd, struct message *m)
{
	_Alignas(NLMSG_ALIGNTO) char answer[8192];
	((struct nlmsghdr *)m->at)->nlmsg_flags |= NLM_F_ACK;
	if (send(fd, m->at, m->length, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof answer, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		struct nlmsghdr *h = (struct nlmsghdr *)answer;
		if (NLMSG_OK(h, n) && h->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
	}
}

/* Makes of an address that the kernel told of the request that adds it. */
static bool keep_address(struct addresses *all, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *told = NLMSG_DATA(h);
	struct ifaddrmsg body = {.ifa_family = told->ifa_family, .ifa_prefixlen = told->ifa_prefixlen, .ifa_scope = told->ifa_scope};
	uint32_t flags = told->ifa_flags;
	int left = (int)IFA_PAYLOAD(h);
	if (all->count == countof(all->list))
		return false;
	struct message *m = &all->list[all->count];
	begin(m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
	for (struct rtattr *a = IFA_RTA(told); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof flags)
			memcpy(&flags, RTA_DATA(a), sizeof flags);
		else if ((a->rta_type == IFA_LOCAL || a->rta_type == IFA_ADDRESS || a->rta_type == IFA_BROADCAST) &&
		         !add(m, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a)))
			return false;
	}
	/* what somebody set for good, and not what the network of the host gave for a while */
	if (!(flags & IFA_F_PERMANENT))
		return true;
	flags &= IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
	if (!add(m, IFA_FLAGS, &flags, sizeof flags))
		return false;
	all->count++;
	return true;
}

/* The permanent global addresses of an interface. */
static int read_addresses(int fd, int index, struct addresses *all)
{
	_Alignas(NLMSG_ALIGNTO) char answer[32768];
	struct ifaddrmsg any = {.ifa_family = AF_UNSPEC};
	struct message m;
	begin(&m, RTM_GETADDR, NLM_F_DUMP, &any, sizeof any);
	if (send(fd, m.at, m.length, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof answer, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (struct nlmsghdr *h = (struct nlmsghdr *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			struct ifaddrmsg *address = NLMSG_DATA(h);
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (h->nlmsg_type == RTM_NEWADDR && (int)address->ifa_index == index &&
			    address->ifa_scope == RT_SCOPE_UNIVERSE && !keep_address(all, h))
				return -E2BIG;
		}
	}
}

static int change_flags(int fd, int index, unsigned flags, unsigned change)
{
	struct ifinfomsg body = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = flags, .ifi_change = change};
	struct message m;
	begin(&m, RTM_NEWLINK, 0, &body, sizeof body);
	return request(fd, &m);
}

static bool is_up(const char *name)
{
	struct ifreq query = {0};
	strncpy(query.ifr_name, name, IFNAMSIZ - 1);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &query) == 0 && (query.ifr_flags & IFF_UP);
	if (fd >= 0)
		close(fd);
	return up;
}

/* Interfaces of the current namespace by number. */
struct indexes {
	int list[1024];
	size_t count;
};

static int read_indexes(struct indexes *all)
{
	struct if_nameindex *names = if_nameindex();
	if (!names)
		return -errno;
	for (struct if_nameindex *at = names; at->if_index && all->count < countof(all->list); at++)
		all->list[all->count++] = (int)at->if_index;
	if_freenameindex(names);
	return 0;
}

static bool has(const struct indexes *all, int index)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->list[i] == index)
			return true;
	return false;
}

/* The kernel keeps the number unless it is taken there; then the interface is the one that is new. */
static int index_after(int index, const struct indexes *before)
{
	struct indexes now = {.count = 0};
	int r = has(before, index) ? read_indexes(&now) : 0;
	if (r < 0 || !has(before, index))
		return r < 0 ? r : index;
	for (size_t i = 0; i < now.count; i++)
		if (!has(before, now.list[i]))
			return now.list[i];
	return -ENODEV;
}

/* In the namespace that the interface has come to. */
static int settle(struct moved_link *moved, int index, const struct indexes *before, struct addresses *all, bool up)
{
	int fd = open_netlink(), r = fd < 0 ? fd : index_after(index, before);
	index = r;
	if (r >= 0)
		r = if_indextoname((unsigned)index, moved->now) ? 0 : -errno;
	for (uint32_t i = 0; r == 0 && i < all->count; i++) {
		((struct ifaddrmsg *)NLMSG_DATA((struct nlmsghdr *)all->list[i].at))->ifa_index = (unsigned)index;
		r = request(fd, &all->list[i]);
	}
	if (r == 0 && up)
		r = change_flags(fd, index, IFF_UP, IFF_UP);
	if (fd >= 0)
		close(fd);
	return r;
}

static int send_away(int fd, int index, int netns, const char *name)
{
	struct ifinfomsg body = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	uint32_t target = (uint32_t)netns;
	struct message m;
	begin(&m, RTM_NEWLINK, 0, &body, sizeof body);
	if (!add(&m, IFLA_NET_NS_FD, &target, sizeof target) || !add(&m, IFLA_IFNAME, name, strlen(name) + 1))
		return -ENAMETOOLONG;
	return request(fd, &m);
}

/*
 * Moves the interface `name` of the current namespace `from` to `to`, where it is called `wanted`, which may be a
 * template with %d. `gone` says that it was moved, though something failed after that; the current namespace is `from`
 * again.
 */
static int move(struct moved_link *moved, int from, int to, const char *name, const char *wanted, bool up, bool *gone)
{
	static struct addresses all;
	struct indexes before = {.count = 0};
	int index = (int)if_nametoindex(name), fd = index ? open_netlink() : -errno, r = fd < 0 ? fd : 0;
	all.count = 0;
	if (r == 0)
		r = read_addresses(fd, index, &all);
	if (r == 0 && setns(to, CLONE_NEWNET) < 0)
		r = -errno;
	else if (r == 0) {
		r = read_indexes(&before);
		if (setns(from, CLONE_NEWNET) < 0)
			r = -errno;
	}
	bool sent = r == 0;
	if (sent)
		r = send_away(fd, index, to, wanted);
	if (fd >= 0)
		close(fd);
	/* a name that is taken there is an error after the move (do_setlink in net/core/rtnetlink.c) */
	*gone = sent && if_nametoindex(name) != (unsigned)index;
	if (!*gone)
		return r;
	int settled = setns(to, CLONE_NEWNET) < 0 ? -errno : settle(moved, index, &before, &all, up);
	if (setns(from, CLONE_NEWNET) < 0)
		settled = -errno;
	return r < 0 ? r : settled;
}

static int own_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

int op_move_link(struct executor *x, const struct step *s)
{
	const char *name = s->v[MOVE_LINK_NAME].text.at, *wanted = s->v[MOVE_LINK_AS].text.at;
	struct moved_link *moved = &x->moved[x->moved_count];
	bool gone = false;
	if (x->moved_count == countof(x->moved))
		return fail(x, E2BIG, "more than %zu network devices", countof(x->moved));
	if (s->v[MOVE_LINK_NAME].text.length >= IFNAMSIZ || s->v[MOVE_LINK_AS].text.length >= IFNAMSIZ)
		return fail(x, ENAMETOOLONG, "%.64s", name);
	int own = own_namespace(), target = dup(reg(x, &s->v[MOVE_LINK_NAMESPACE]));
	if (own < 0 || target < 0 || fcntl(target, F_SETFD, FD_CLOEXEC) < 0)
		return fail(x, errno, "network namespace");
	strcpy(moved->before, name);
	strcpy(moved->now, wanted);
	moved->was_up = is_up(name);
	moved->netns = target;
	int r = move(moved, own, target, name, wanted, true, &gone);
	close(own);
	if (gone)
		x->moved_count++;
	else
		close(target);
	return r < 0 ? fail(x, -r, "%s", name) : 0;
}

void undo_links(struct executor *x)
{
	int own = own_namespace();
	while (x->moved_count > 0) {
		struct moved_link *link = &x->moved[--x->moved_count], back;
		bool gone;
		if (own >= 0 && setns(link->netns, CLONE_NEWNET) == 0) {
			move(&back, link->netns, own, link->now, link->before, link->was_up, &gone);
			setns(own, CLONE_NEWNET);
		}
		close(link->netns);
	}
	if (own >= 0)
		close(own);
}

void forget_links(struct executor *x)
{
	while (x->moved_count > 0)
		close(x->moved[--x->moved_count].netns);
}

int op_raise_link(struct executor *x, const struct step *s)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strncpy(request.ifr_name, s->v[RAISE_LINK_NAME].text.at, IFNAMSIZ - 1);
	int r = fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -errno : 0;
	request.ifr_flags |= IFF_UP;
	if (r == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r < 0 ? fail(x, -r, "%s", request.ifr_name) : 0;
}
