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

int op_tell_failure(struct executor *x, const struct step *s)
{
	x->teller = *s;
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
static size_t escape(const char *text, char *out, size_t size)
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

static void append_line(const struct executor *x, const char *message)
{
	struct late values[] = {{"@MESSAGE@", message}, {"@TIME@", NULL}};
	char text[8192], stamp[32];
	time_t now = time(NULL);
	struct tm utc;
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	values[1].value = stamp;
	long bytes = fill_in(x->teller.v[TELL_FAILURE_LINE].text.at, values, countof(values), text, sizeof text);
	const char *log = x->teller.v[TELL_FAILURE_LOG].text.at;
	int fd = *log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : 2;
	if (bytes < 0 || fd < 0 || write_all(fd, text, (size_t)bytes) < 0)
		dprintf(2, "write log %s: %s\n", log, errno_words(errno));
	if (fd > 2)
		close(fd);
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
	char message[3072], escaped[6144];
	compose(x, &s, message, sizeof message);
	if (!x->teller.operation) {
		dprintf(2, "%s\n", message);
		return;
	}
	escape(message, escaped, sizeof escaped);
	append_line(x, escaped);
	/* the log is for programs, this for people */
	if (x->teller.v[TELL_FAILURE_LOG].text.length)
		dprintf(2, "%s%s\n", x->teller.v[TELL_FAILURE_INTRO].text.at, message);
}
