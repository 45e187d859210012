/*
 * What a plan of `create` or `run` depends on, with names taken out: two containers of one image and one policy differ
 * in little but their id, and in names that somebody drew (of layers, networks, pods). The key of a call holds all of
 * its words, its config.json byte by byte, and what the compiler looks at on this machine; but where a name stands, it
 * holds the number of the name and its length. Calls with the same key have plans that differ in these names alone,
 * which src/oci/plan-template.ts proves for each plan that it keeps.
 *
 * A name is
 *     the container's id, unless it is so short or so plain that it may be a word of something else
 *     32 or more lower-case hexadecimal digits; 12 of them if the id begins so, as host names do
 *     a UUID; a time as RFC 3339 has it
 *     the place of a console or pidfd socket
 * with neither letter nor digit before or after it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "container.h"

enum { WORD_END = 0xff }; /* after a NUL, where else the number of a name stands */

static void add(struct launch_call *call, const void *data, size_t bytes)
{
	if (call->key_bytes + bytes > sizeof call->key) {
		call->unusual = true;
		return;
	}
	memcpy(call->key + call->key_bytes, data, bytes);
	call->key_bytes += bytes;
}

static void end_word(struct launch_call *call)
{
	add(call, (const char[]){0, (char)WORD_END}, 2);
}

static void add_word(struct launch_call *call, const char *word)
{
	add(call, word, strlen(word));
	end_word(call);
}

/* --- names --- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Whether `at` begins with what `form` says: x for a hexadecimal digit, 9 for a decimal one, else itself. */
static bool has_form(const char *at, const char *end, const char *form)
{
	for (; *form; form++, at++)
		if (at == end || (*form == 'x' ? !is_hex(*at) : *form == '9' ? !isdigit((unsigned char)*at) : *at != *form))
			return false;
	return true;
}

static size_t time_length(const char *at, const char *end)
{
	const char *p = at + 19;
	if (!has_form(at, end, "9999-99-99T99:99:99"))
		return 0;
	if (p < end && *p == '.')
		for (p++; p < end && isdigit((unsigned char)*p);)
			p++;
	if (p < end && *p == 'Z')
		return (size_t)(p + 1 - at);
	return has_form(p, end, "+99:99") || has_form(p, end, "-99:99") ? (size_t)(p + 6 - at) : 0;
}

/* Length of the name that begins here, at the beginning of a word; 0 if none does. */
static size_t name_length(const struct launch_call *call, const char *at, const char *end)
{
	size_t room = (size_t)(end - at), id = call->id_is_name ? strlen(call->id) : 0, digits = 0, length = 0;
	if (id && room >= id && memcmp(at, call->id, id) == 0 && (room == id || !isalnum((unsigned char)at[id])))
		return id;
	while (digits < room && is_hex(at[digits]))
		digits++;
	if (has_form(at, end, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"))
		length = 36;
	else if (digits >= 32 || (digits == 12 && strncmp(call->id, at, 12) == 0))
		length = digits;
	else
		length = time_length(at, end);
	return length < room && isalnum((unsigned char)at[length]) ? 0 : length;
}

static void add_name(struct launch_call *call, uint32_t word, const char *text, const char *at, size_t length)
{
	uint32_t number = 0;
	for (; number < call->name_count; number++)
		if (call->names[number].length == length && memcmp(call->names[number].at, at, length) == 0)
			break;
	if (number == countof(call->names) || call->mark_count == countof(call->marks) || length > UINT16_MAX) {
		call->unusual = true;
		return;
	}
	if (number == call->name_count)
		call->names[call->name_count++] = (struct bytes){at, (uint32_t)length};
	call->marks[call->mark_count++] = (struct mark){word, (uint32_t)(at - text), (uint32_t)length, number};
	add(call, (const char[]){0, (char)number, (char)length, (char)(length >> 8)}, 4);
}

/* A text with its names taken out. `word`: which word of the command line it is; 0 for the config. */
static void add_text(struct launch_call *call, uint32_t word, const char *text, size_t bytes)
{
	const char *end = text + bytes, *literal = text;
	for (const char *at = text; at < end;) {
		if (!isalnum((unsigned char)*at)) {
			at++;
			continue;
		}
		size_t length = name_length(call, at, end);
		if (length) {
			add(call, literal, (size_t)(at - literal));
			add_name(call, word, text, at, length);
			literal = at += length;
		} else
			while (at < end && isalnum((unsigned char)*at))
				at++;
	}
	add(call, literal, (size_t)(end - literal));
	end_word(call);
}

/* One that is a word of the command line may be one of the config's or of a plan's too. */
static bool can_be_name(const char *id)
{
	return strlen(id) >= 4 && strpbrk(id, "0123456789");
}

/* --- the command line --- */

/* False at a flag that makes a call unlike others, or that is unknown here. */
static bool read_flags(struct launch_call *call, char **at)
{
	static const char *const alone[] = {"-d", "--detach", "--no-pivot", "--no-new-keyring", "--no-subreaper", "--keep", NULL};
	static const char *const places[] = {"--pid-file", "--console-socket", "--pidfd-socket", NULL};
	for (; *at && **at == '-'; at++) {
		const char *value = NULL;
		if (is_one_of(*at, alone))
			continue;
		if ((value = value_of(&at, "--bundle")) || (value = value_of(&at, "-b")))
			call->bundle = value;
		for (size_t i = 0; !value && places[i]; i++)
			value = value_of(&at, places[i]);
		/* others are relative to a directory of which the key does not tell */
		if (!value || *value != '/')
			return false;
	}
	call->id = *at ? *at : "";
	return call->bundle && *at && !at[1] && is_id(call->id);
}

/* The place of a socket is a name as a whole: callers draw a part of it. */
static bool is_socket_place(char **argv, uint32_t word)
{
	static const char *const flags[] = {"--console-socket", "--pidfd-socket", NULL};
	return word > 1 && is_one_of(argv[word - 1], flags) && strlen(argv[word]) >= 8;
}

static void add_words(struct launch_call *call, char **argv)
{
	for (uint32_t word = 1; argv[word]; word++)
		if (is_socket_place(argv, word)) {
			add_name(call, word, argv[word], argv[word], strlen(argv[word]));
			end_word(call);
		} else
			add_text(call, word, argv[word], strlen(argv[word]));
}

/* --- the config and the machine --- */

static bool add_config(struct launch_call *call)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/config.json", call->bundle) >= (int)sizeof path)
		return false;
	call->config_bytes = read_uncut(path, call->config, sizeof call->config);
	if (call->config_bytes <= 0 || memchr(call->config, 0, (size_t)call->config_bytes))
		return false;
	add_text(call, 0, call->config, (size_t)call->config_bytes);
	return true;
}

/* One that is not there is as good as empty. */
static void add_file(struct launch_call *call, const char *path)
{
	char text[4096];
	ssize_t n = read_uncut(path, text, sizeof text);
	add(call, text, n < 0 ? 0 : (size_t)n);
	end_word(call);
}

/* Where control groups and resctrl are mounted, and what the v2 hierarchy offers there. */
static void add_mounts(struct launch_call *call)
{
	static char text[1 << 20];
	char controllers[4096], *rest = NULL;
	if (read_uncut("/proc/self/mountinfo", text, sizeof text) < 0) {
		call->unusual = true;
		return;
	}
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strstr(line, " - cgroup") && !strstr(line, " - resctrl "))
			continue;
		add_word(call, line);
		int at = 0, end = 0;
		if (!strstr(line, " - cgroup2 ") || sscanf(line, "%*s %*s %*s %*s %n%*s%n", &at, &end) < 0 || end <= at)
			continue;
		if (snprintf(controllers, sizeof controllers, "%.*s/cgroup.controllers", end - at, line + at) < (int)sizeof controllers)
			add_file(call, controllers);
	}
}

/* What the caller may do, and what Gantry is. */
static void add_caller(struct launch_call *call, const char *program)
{
	struct {
		uint32_t ids[4];
		struct __user_cap_data_struct capabilities[2];
		int terminals;
		struct rlimit limits[RLIM_NLIMITS];
		struct builds builds;
	} facts;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	memset(&facts, 0, sizeof facts);
	facts.ids[0] = getuid(), facts.ids[1] = geteuid(), facts.ids[2] = getgid(), facts.ids[3] = getegid();
	facts.terminals = terminals_of_caller();
	call->unusual |= !read_builds(program, &facts.builds);
	call->unusual |= syscall(SYS_capget, &header, facts.capabilities) < 0;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		call->unusual |= getrlimit(i, &facts.limits[i]) < 0;
	add(call, &facts, sizeof facts);
	end_word(call);
}

bool read_launch_call(char **argv, const char *program, struct launch_call *call)
{
	static const char *const files[] = {
		"/proc/sys/kernel/random/boot_id", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/self/cgroup",
		"/sys/kernel/cgroup/delegate", "/sys/kernel/security/lsm", "/sys/module/apparmor/parameters/enabled",
		"/sys/fs/selinux/enforce",
	};
	struct call line;
	/* sockets of a service manager make each call unlike the next */
	if (geteuid() != 0 || getenv("LISTEN_FDS") || getenv("NOTIFY_SOCKET") || !read_call(argv, &line))
		return false;
	call->root = line.root;
	if ((strcmp(line.verb, "create") != 0 && strcmp(line.verb, "run") != 0) || !read_flags(call, line.rest))
		return false;
	call->id_is_name = can_be_name(call->id);
	add_words(call, argv);
	if (!add_config(call))
		return false;
	add_caller(call, program);
	add_mounts(call);
	for (size_t i = 0; i < countof(files); i++)
		add_file(call, files[i]);
	return !call->unusual;
}
