/*
 * Walks the stages of a checked plan. Whatever goes wrong in host or child stage ends the plan: the
 * child is killed, the clean-up stage runs, and the controller gets one report that names the step.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "executor.h"

/* How an executor ends: the plan went well, or it failed and was undone. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1 };

int fail(struct executor *x, int error, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(x->failure.detail, sizeof x->failure.detail, format, list);
	va_end(list);
	x->failure.error = error;
	return -error;
}

int reg(const struct executor *x, const union operand *v)
{
	return v->fd < 0 ? -1 : x->registers[v->fd];
}

void set_reg(struct executor *x, const union operand *v, int fd)
{
	x->registers[v->fd] = fd;
}

const struct stage *stage_of(const struct executor *x, uint32_t stage)
{
	switch (stage) {
	case STAGE_HOST: return &x->plan.host;
	case STAGE_CHILD: return &x->plan.child;
	case STAGE_LAYER: return &x->plan.layer;
	default: return &x->plan.cleanup;
	}
}

int run_stage(struct executor *x, uint32_t stage)
{
	const struct stage *steps = stage_of(x, stage);
	const uint8_t *cursor = steps->at;
	struct failure first = {.error = 0};
	struct step s;
	int result = 0;

	x->stage = stage;
	for (uint32_t i = 0; i < steps->steps; i++) {
		plan_next(&x->plan, &cursor, &s);
		x->failure.detail[0] = 0;
		x->failure.error = 0;
		if (x->trace >= 0)
			tell_step(x, i, &s);
		int r = s.operation->run(x, &s);
		if (r >= 0)
			continue;
		/* -ECANCELED: x->failure already names a step of the other side */
		if (r != -ECANCELED) {
			x->failure.stage = stage;
			x->failure.step = i;
			if (x->failure.error == 0)
				x->failure.error = -r;
		}
		if (stage != STAGE_CLEANUP)
			return r;
		/* the clean-up goes on: what can be undone is undone */
		if (result == 0)
			first = x->failure;
		result = r;
	}
	if (result < 0)
		x->failure = first;
	return result;
}

void run_child(struct executor *x)
{
	/* what whoever started us ignores or blocks is not the program's concern: execve would keep it */
	sigset_t none;
	sigemptyset(&none);
	for (int number = 1; number < _NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	run_stage(x, STAGE_CHILD);
	if (x->starter >= 0)
		tell_starter(x);
	/* exec never returns, so something failed; the host side tells the controller */
	struct {
		uint32_t kind, number;
		struct failure failure;
	} message = {PEER_FAILED, 0, x->failure};
	write_all(x->peer, &message, sizeof message);
	_exit(EXIT_FAILED);
}

/* The child's silence has a reason that its cgroups told; runc has these words for it. */
static void explain_silence(const struct executor *x, struct failure *failure)
{
	if (failure->error != EPIPE || !x->oom_killed)
		return;
	snprintf(failure->detail, sizeof failure->detail, "container init was OOM-killed (memory limit too low?)");
	failure->error = 0;
}

int run_plan(struct executor *x)
{
	/* a vanished controller must not kill the shim by SIGPIPE */
	signal(SIGPIPE, SIG_IGN);
	if (run_stage(x, STAGE_HOST) < 0) {
		struct failure first = x->failure;
		/* at once: systemd takes a cgroup away as soon as it is empty */
		if (first.error == EPIPE)
			note_kills(x);
		run_stage(x, STAGE_CLEANUP);
		undo_links(x);
		shim_unlisten();
		undo_records(x);
		remove_left(x);
		explain_silence(x, &first);
		x->failure = first;
		if (x->controller >= 0)
			report_failure(x);
		else
			tell_failure(x);
		if (x->teller.operation)
			return (int)x->teller.v[TELL_FAILURE_STATUS].number;
		return first.status ? (int)first.status : EXIT_FAILED;
	}
	if (!x->child_reaped) {
		/* a plan of nothing but clean-up: what a shim that was killed could not do any more */
		bool good = x->plan.host.steps > 0 || run_stage(x, STAGE_CLEANUP) >= 0;
		if (x->controller >= 0 && good)
			send_frame(x->controller, REPLY_DONE, NULL, 0);
		else if (x->controller >= 0)
			report_failure(x);
		else if (!good)
			tell_failure(x);
		return good ? EXIT_GOOD : EXIT_FAILED;
	}
	memset(&x->failure, 0, sizeof x->failure);
	if (run_stage(x, STAGE_CLEANUP) < 0) {
		if (x->controller >= 0)
			report_failure(x);
		else
			tell_failure(x);
	}
	uint32_t status[3];
	exit_payload(x, status);
	if (x->supervised) {
		shim_finish(x);
		remove_left(x);
	} else if (x->controller >= 0) {
		send_frame(x->controller, REPLY_EXIT, status, sizeof status);
	}
	return (int)status[0];
}
