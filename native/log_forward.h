/*
 * Where a log goes besides its file: the journal (systemd's native protocol) or a syslog daemon, over a
 * socket. Never waits: what the receiver does not take now is held, and the shim reads no more output
 * until it has gone, or is dropped, as the container was made.
 */
#ifndef LOG_FORWARD_H
#define LOG_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum forward_protocol {
	FORWARD_DATAGRAM = 1,
	FORWARD_STREAM = 2,
	FORWARD_EITHER = 3,
	FORWARD_UDP = 4,
	FORWARD_TCP = 5,
	FORWARD_RELAY = 6
};
/* The last two have their length before them (RFC 5425, section 4.3). */
enum forward_format {
	FORWARD_JOURNAL = 1,
	FORWARD_LOCAL = 2,
	FORWARD_RFC3164 = 3,
	FORWARD_RFC5424 = 4,
	FORWARD_RFC5424_MICRO = 5,
	FORWARD_RFC5425 = 6,
	FORWARD_RFC5425_MICRO = 7
};

/* Longest fields of a journal entry, or host and tag of a syslog message. */
#define FORWARD_HEAD_LIMIT 65536
/* The rest of a message: the line itself, and what its stream, time and place among others add. */
#define FORWARD_LINE_LIMIT (16384 + 1024)

/*
 * A relay is another program at the end of a stream, which has the connection and passes on what it reads. It says '+'
 * once it is connected, or at first '-' and why it is not; then it goes on trying, and is sent nothing before its '+'.
 * When its connection breaks it ends.
 */
struct forward {
	int fd; /* -1 while there is no connection */
	enum forward_protocol protocol;
	enum forward_format format;
	bool patient;        /* holds the container up rather than drop a line */
	const char *address; /* path, or numeric host; of a relay, how its receiver is called */
	uint32_t port;
	const char *host, *tag; /* of syslog */
	const char *fields;     /* of the journal: those that every entry has, as they go over the socket */
	uint32_t fields_bytes;
	uint32_t facility;
	uint32_t buffer_bytes; /* of the socket; 0 for the system's default */
	uint64_t ordinal;
	uint64_t lost; /* bytes of what was dropped */
	int error;     /* errno of the first loss */
	int (*start_relay)(struct forward *f); /* the stream to a new one, or -errno */
	bool connecting;
	bool apart; /* the relay has said that it is not connected */
	bool again; /* this message has had its second connection */
	int64_t retry_ms;
	char reason[256]; /* of a relay that could not connect, in its own words */
	uint32_t held, sent; /* bytes of the message that is not gone, and how much of it is */
	char message[FORWARD_HEAD_LIMIT + FORWARD_LINE_LIMIT];
};

struct forward_line {
	unsigned stream;
	const char *time; /* RFC 3339 with nanoseconds */
	const char *data;
	size_t bytes;
	const char *part_id; /* of a line that comes in parts; else NULL */
	uint32_t part;       /* from 1 on */
	bool last;
};

/* Connects, waiting for it. 0 or -errno; `reason` says more, if there is any. */
int forward_open(struct forward *f);
/* Sends or holds a line, or drops it. Only while none is held. */
void forward_line(struct forward *f, const struct forward_line *line);
/* Whether a line is held; poll `fd` for these events then, and call forward_more. */
bool forward_waits(const struct forward *f);
short forward_events(const struct forward *f);
void forward_more(struct forward *f);
void forward_close(struct forward *f);

#endif
