/*
 * One message at a time stands in a buffer of its own until it has gone. A connection that breaks is made
 * anew at once, and after that once a second; what comes meanwhile is lost and counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "local_socket.h"
#include "clock.h"
#include "log_forward.h"

/* How long a receiver may take to accept the first connection. */
#define CONNECT_MS 5000
/* A relay gives up after that time by itself, and is a program that has to be started. */
#define RELAY_MS 20000
/* Pause between two attempts to reach a receiver that is not there. */
#define RETRY_MS 1000
/* Severities of syslog(3): what Docker gives to the two streams. */
#define SEVERITY_ERROR 3u
#define SEVERITY_INFO 6u

/* --- the connection --- */

static int connect_inet(int fd, const struct forward *f)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)f->port)};
	int r = -1;
	if (inet_pton(AF_INET, f->address, &v4.sin_addr) == 1)
		r = connect(fd, (struct sockaddr *)&v4, sizeof v4);
	else if (inet_pton(AF_INET6, f->address, &v6.sin6_addr) == 1)
		r = connect(fd, (struct sockaddr *)&v6, sizeof v6);
	else
		return -EINVAL;
	return r < 0 ? -errno : 0;
}

static int connect_as(struct forward *f, int domain, int type)
{
	int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (f->buffer_bytes)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &f->buffer_bytes, sizeof f->buffer_bytes);
	int r = domain == AF_UNIX ? connect_path(fd, f->address) : connect_inet(fd, f);
	f->connecting = r == -EINPROGRESS;
	if (r < 0 && !f->connecting) {
		close(fd);
		return r;
	}
	f->fd = fd;
	return 0;
}

static int connect_relay(struct forward *f)
{
	int fd = f->start_relay(f);
	if (fd < 0)
		return fd;
	if (f->buffer_bytes)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &f->buffer_bytes, sizeof f->buffer_bytes);
	f->fd = fd;
	f->connecting = true;
	/* one that breaks at once is not started for every line */
	f->retry_ms = now_ms() + RETRY_MS;
	return 0;
}

/* Begins a connection; one by TCP or a relay is not there yet when this returns. */
static int begin_connection(struct forward *f)
{
	bool v6 = strchr(f->address, ':');
	int r = -EPROTOTYPE;
	switch (f->protocol) {
	case FORWARD_RELAY:
		return connect_relay(f);
	case FORWARD_UDP:
		return connect_as(f, v6 ? AF_INET6 : AF_INET, SOCK_DGRAM);
	case FORWARD_TCP:
		return connect_as(f, v6 ? AF_INET6 : AF_INET, SOCK_STREAM);
	case FORWARD_STREAM:
		return connect_as(f, AF_UNIX, SOCK_STREAM);
	case FORWARD_DATAGRAM:
	case FORWARD_EITHER:
		r = connect_as(f, AF_UNIX, SOCK_DGRAM);
	}
	/* syslog daemons listen either way at /dev/log */
	if (r == -EPROTOTYPE && f->protocol == FORWARD_EITHER)
		r = connect_as(f, AF_UNIX, SOCK_STREAM);
	return r;
}

static void disconnect(struct forward *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->connecting = f->apart = false;
	f->sent = 0; /* half a message counts for nothing */
}

/* What a relay says: the last word counts. */
static int hear(struct forward *f)
{
	char words[sizeof f->reason];
	ssize_t n = recv(f->fd, words, sizeof words, MSG_DONTWAIT);
	f->apart = n > 0 && words[n - 1] != '+';
	f->connecting = f->apart || n <= 0;
	if (n == 0)
		snprintf(f->reason, sizeof f->reason, "the program that passes it on has ended");
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	if (!f->apart)
		return 1;
	/* a sign before it, a line feed behind it */
	snprintf(f->reason, sizeof f->reason, "%.*s", (int)n - 2, words + 1);
	return -ENOTCONN;
}

/* Whether the connection stands: 1, 0 while it does not yet, or -errno. */
static int settle(struct forward *f, int wait_ms)
{
	struct pollfd p = {f->fd, forward_events(f), 0};
	int error = 0;
	socklen_t size = sizeof error;
	if (!f->connecting)
		return 1;
	if (poll(&p, 1, wait_ms) <= 0)
		return wait_ms ? -ETIMEDOUT : f->apart ? -ENOTCONN : 0;
	if (f->protocol == FORWARD_RELAY)
		return hear(f);
	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	f->connecting = false;
	return error ? -error : 1;
}

int forward_open(struct forward *f)
{
	f->fd = -1;
	f->held = f->sent = 0;
	f->ordinal = f->lost = 0;
	f->error = 0;
	f->connecting = f->apart = f->again = false;
	f->retry_ms = 0;
	f->reason[0] = 0;
	int r = begin_connection(f);
	if (r == 0)
		r = settle(f, f->protocol == FORWARD_RELAY ? RELAY_MS : CONNECT_MS);
	if (r < 0)
		disconnect(f);
	return r < 0 ? r : 0;
}

/* --- the message --- */

static void put_bytes(struct forward *f, const char *data, size_t bytes)
{
	/* what the limits of plan and line leave no room for cannot come */
	if (bytes > sizeof f->message - f->held)
		bytes = sizeof f->message - f->held;
	memcpy(f->message + f->held, data, bytes);
	f->held += (uint32_t)bytes;
}

static void put_text(struct forward *f, const char *text)
{
	put_bytes(f, text, strlen(text));
}

static void put_number(struct forward *f, const char *before, uint64_t number, const char *after)
{
	char text[24];
	put_text(f, before);
	put_bytes(f, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)number));
	put_text(f, after);
}

static unsigned severity(const struct forward_line *line)
{
	return line->stream == 0 ? SEVERITY_INFO : SEVERITY_ERROR;
}

/* Fields as text: a line holds no line feed (systemd, "Native Journal Protocol"). */
static void put_journal(struct forward *f, const struct forward_line *line)
{
	put_bytes(f, f->fields, f->fields_bytes);
	put_number(f, "PRIORITY=", severity(line), "\n");
	put_text(f, "SYSLOG_TIMESTAMP=");
	put_text(f, line->time);
	put_number(f, "\nCONTAINER_LOG_ORDINAL=", ++f->ordinal, "\n");
	if (line->part_id) {
		put_text(f, "CONTAINER_PARTIAL_ID=");
		put_text(f, line->part_id);
		put_number(f, "\nCONTAINER_PARTIAL_ORDINAL=", line->part, "\n");
		put_text(f, line->last ? "CONTAINER_PARTIAL_LAST=true\n"
		                       : "CONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n");
	}
	put_text(f, "MESSAGE=");
	put_bytes(f, line->data, line->bytes);
	put_text(f, "\n");
}

/* RFC 3164 has no year and no zone; RFC 5424 takes RFC 3339 with at most microseconds. Both in local time, as Docker's. */
static void put_time(struct forward *f)
{
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct timespec now;
	struct tm t = {0};
	char text[64], fraction[8] = "";
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &t);
	if (f->format == FORWARD_LOCAL || f->format == FORWARD_RFC3164) {
		snprintf(text, sizeof text, "%s %2d %02d:%02d:%02d", months[t.tm_mon % 12], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
		put_text(f, text);
		return;
	}
	if ((f->format == FORWARD_RFC5424_MICRO || f->format == FORWARD_RFC5425_MICRO) && now.tv_nsec >= 1000) {
		size_t end = (size_t)snprintf(fraction, sizeof fraction, ".%06u", (unsigned)(now.tv_nsec / 1000) % 1000000u);
		while (fraction[end - 1] == '0')
			fraction[--end] = 0;
	}
	int length = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%s", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
	                      t.tm_hour, t.tm_min, t.tm_sec, fraction);
	long minutes = t.tm_gmtoff / 60;
	if (minutes == 0)
		strcpy(text + length, "Z");
	else
		snprintf(text + length, sizeof text - (size_t)length, "%c%02d:%02d", minutes < 0 ? '-' : '+',
		         (int)(minutes < 0 ? -minutes : minutes) / 60 % 100, (int)(minutes < 0 ? -minutes : minutes) % 60);
	put_text(f, text);
}

/* For receivers that count, as Docker does it: the line feed counts. */
static void put_length_before(struct forward *f)
{
	char text[24];
	size_t length = (size_t)snprintf(text, sizeof text, "%u ", f->held);
	if (length > sizeof f->message - f->held)
		return;
	memmove(f->message + length, f->message, f->held);
	memcpy(f->message, text, length);
	f->held += (uint32_t)length;
}

static void put_syslog(struct forward *f, const struct forward_line *line)
{
	bool counted = f->format == FORWARD_RFC5425 || f->format == FORWARD_RFC5425_MICRO;
	bool modern = counted || f->format == FORWARD_RFC5424 || f->format == FORWARD_RFC5424_MICRO;
	put_number(f, "<", f->facility * 8 + severity(line), modern ? ">1 " : ">");
	put_time(f);
	put_text(f, " ");
	if (f->format != FORWARD_LOCAL) {
		put_text(f, f->host);
		put_text(f, " ");
	}
	put_text(f, f->tag);
	if (modern) {
		/* the tag is the name of the application too: what rsyslog makes its syslogtag of */
		put_number(f, " ", (uint64_t)getpid(), " ");
		put_text(f, f->tag);
		put_text(f, " - ");
	} else {
		put_number(f, "[", (uint64_t)getpid(), "]: ");
	}
	put_bytes(f, line->data, line->bytes);
	put_text(f, "\n");
	if (counted)
		put_length_before(f);
}

/* --- sending --- */

static void count_loss(struct forward *f, int error, uint64_t bytes)
{
	if (!f->error) {
		f->error = error;
		dprintf(2, "gantry-executor: log to %s: %s: lines are being lost\n", f->address, f->apart ? f->reason : strerror(error));
	}
	f->lost += bytes;
}

static void drop(struct forward *f, int error)
{
	count_loss(f, error, f->held);
	f->held = f->sent = 0;
}

/* What a stream's receiver has closed takes one more message before it tells so. */
static bool is_closed(const struct forward *f)
{
	char byte;
	return (f->protocol == FORWARD_TCP || f->protocol == FORWARD_STREAM || f->protocol == FORWARD_EITHER ||
	        f->protocol == FORWARD_RELAY) &&
	       f->sent == 0 && !f->connecting && f->fd >= 0 && recv(f->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* The receiver is gone: tries it once more, at once for the message that found out, then at intervals. */
static bool reach_again(struct forward *f, int error)
{
	int64_t now = now_ms();
	disconnect(f);
	if (!f->again && now >= f->retry_ms) {
		int r = begin_connection(f);
		f->again = true;
		if (r == 0)
			return true;
		error = -r;
	}
	if (now >= f->retry_ms)
		f->retry_ms = now + RETRY_MS;
	drop(f, error);
	return false;
}

/* One attempt to send on: 0 when that is all for now. */
static bool send_on(struct forward *f)
{
	int r = f->fd < 0 ? -ENOTCONN : is_closed(f) ? -EPIPE : settle(f, 0);
	if (r < 0 && f->apart) {
		drop(f, -r);
		return false;
	}
	if (r < 0)
		return reach_again(f, -r);
	ssize_t n = r > 0 ? send(f->fd, f->message + f->sent, f->held - f->sent, MSG_DONTWAIT | MSG_NOSIGNAL) : -1;
	if (r > 0 && n >= 0) {
		f->sent += (uint32_t)n;
		if (f->sent == f->held)
			f->held = f->sent = 0;
		return true;
	}
	if (r > 0 && errno == EINTR)
		return true;
	if (r > 0 && errno == EMSGSIZE) {
		drop(f, EMSGSIZE);
		return false;
	}
	if (r > 0 && errno != EAGAIN && errno != ENOBUFS)
		return reach_again(f, errno);
	/* half a message in a stream has to be finished in any case */
	if (!f->patient && f->sent == 0)
		drop(f, EAGAIN);
	return false;
}

void forward_more(struct forward *f)
{
	while (f->held > 0 && send_on(f))
		;
}

bool forward_waits(const struct forward *f)
{
	return f->patient && f->held > 0;
}

short forward_events(const struct forward *f)
{
	return f->protocol == FORWARD_RELAY && f->connecting ? POLLIN : POLLOUT;
}

void forward_line(struct forward *f, const struct forward_line *line)
{
	forward_more(f);
	if (f->held > 0)
		return count_loss(f, EAGAIN, line->bytes);
	f->again = false;
	if (f->format == FORWARD_JOURNAL)
		put_journal(f, line);
	else
		put_syslog(f, line);
	forward_more(f);
}

void forward_close(struct forward *f)
{
	if (f->held > 0)
		drop(f, EAGAIN);
	disconnect(f);
}
