/* How a failure is told where no controller is at the other end: in the words and the form that callers of runc parse. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "executor.h"
#include "gen/errno.h"

static const char *const words[] = {ERRNO_WORDS};

const char *errno_words(int error)
{
	return error > 0 && error < (int)countof(words) && words[error] ? words[error] : "unknown error";
}

/* Where lines go: the log, or stderr. */
static int open_log(const struct step *teller)
{
	const char *log = teller->v[TELL_FAILURE_LOG].text.at;
	return *log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : fcntl(2, F_DUPFD_CLOEXEC, 3);
}

int op_tell_failure(struct executor *x, const struct step *s)
{
	x->teller = *s;
	if (s->v[TELL_FAILURE_TRACE].text.length)
		x->trace = open_log(s);
	return 0;
}

/* The step that failed; no operation if it was the check. */
static struct step failed_step(const struct executor *x)
{
	const struct stage *steps = stage_of(x, x->failure.stage);
	const uint8_t *cursor = steps->at;
	struct step s = {.operation = NULL};
	for (uint32_t i = 0; x->failure.stage != STAGE_CHECK && i <= x->failure.step && i < steps->steps; i++)
		plan_next(&x->plan, &cursor, &s);
	return s;
}

/* Phrase, object, reason, and in brackets the step with the place in the config. With a status the detail says all. */
static void compose(const struct executor *x, const struct step *s, char *out, size_t size)
{
	const struct failure *f = &x->failure;
	const char *phrase = !s->operation ? "check plan" : s->phrase.length ? s->phrase.at : s->operation->name;
	const char *side = "";
	if (x->teller.operation && s->operation && !f->status)
		side = x->teller.v[f->stage == STAGE_CHILD ? TELL_FAILURE_CHILD : TELL_FAILURE_HOST].text.at;
	/* what the side is called may be in the phrase already */
	if (s->phrase.length && strncmp(side, phrase, s->phrase.length) == 0)
		side = "";
	bool reason = f->error && !f->status;
	int n = snprintf(out, size, "%s%s%s%s%s%s", side, phrase, f->detail[0] ? ": " : "", f->detail, reason ? ": " : "",
	                 reason ? errno_words(f->error) : "");
	if (s->operation && !f->status && n > 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, " [%s%s%s]", s->operation->name, s->where.length ? " " : "", s->where.at);
}

/* As inside of a JSON string; what is no character of UTF-8 is left to the reader, as others do. */
size_t escape(const char *text, char *out, size_t size)
{
	size_t n = 0;
	for (; *text && n + 7 < size; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < ' ')
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = 0;
	return n;
}

/* One line of a template, with the time. */
static int write_line(int fd, const char *template, const char *message)
{
	char text[8192], escaped[6144], stamp[32];
	time_t now = time(NULL);
	struct tm utc;
	escape(message, escaped, sizeof escaped);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	const struct late values[] = {{"@MESSAGE@", escaped}, {"@TIME@", stamp}};
	long bytes = fill_in(template, values, countof(values), text, sizeof text);
	return bytes < 0 ? -E2BIG : write_all(fd, text, (size_t)bytes);
}

void tell_step(struct executor *x, uint32_t number, const struct step *s)
{
	static const char *const stages[] = {"check", "host", "child", "cleanup", "layer"};
	char message[1024];
	snprintf(message, sizeof message, "%s %u: %s%s%s", stages[x->stage], number, s->operation->name,
	         s->where.length ? " " : "", s->where.at);
	write_line(x->trace, x->teller.v[TELL_FAILURE_TRACE].text.at, message);
	/* a filter may forbid it from here on, and a descriptor that is closed may come to mean another file */
	if (s->operation->rules & (RULE_SECCOMP | RULE_EMPTIES)) {
		close(x->trace);
		x->trace = -1;
	}
}

void tell_starter(struct executor *x)
{
	struct step s = failed_step(x);
	char message[3072];
	compose(x, &s, message, sizeof message);
	/* whoever let us go may not have waited */
	signal(SIGPIPE, SIG_IGN);
	write_all(x->starter, message, strlen(message));
}

void tell_failure(struct executor *x)
{
	struct step s = failed_step(x);
	char message[3072];
	compose(x, &s, message, sizeof message);
	if (!x->teller.operation) {
		dprintf(2, "%s\n", message);
		return;
	}
	int log = open_log(&x->teller);
	int r = log < 0 ? -errno : write_line(log, x->teller.v[TELL_FAILURE_LINE].text.at, message);
	if (r < 0)
		dprintf(2, "write log %s: %s\n", x->teller.v[TELL_FAILURE_LOG].text.at, errno_words(-r));
	if (log >= 0)
		close(log);
	/* the log is for programs, this for people */
	if (x->teller.v[TELL_FAILURE_LOG].text.length)
		dprintf(2, "%s%s\n", x->teller.v[TELL_FAILURE_INTRO].text.at, message);
}
