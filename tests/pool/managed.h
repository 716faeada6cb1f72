/* What clients of a manager's pools have done: offered in the suite, and in what "spawn" runs. */
#ifndef CAROM_TESTS_POOL_MANAGED_H
#define CAROM_TESTS_POOL_MANAGED_H

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "pool/carom.h"
#include "tests/pool/gate.h"

static struct gate *gate;

/* An int: twice as much. */
static int double_it(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *in = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *out = NULL;
	int64_t number;
	int r = carom_call_document(call, NULL, &in);

	if (r == 0)
		r = carom_object_int(carom_document_root(in), &number);
	if (r < 0)
		return carom_call_fail(call, r, "it is no number");
	r = carom_document_build(&out, "L", 2 * number);
	return r < 0 ? r : carom_reply_document(call, out);
}
CAROM_OFFER(double_it);

/* Whatever it gets. */
static int give_back(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *in = NULL;
	int r = carom_call_document(call, NULL, &in);

	return r < 0 ? r : carom_reply_document(call, in);
}
CAROM_OFFER(give_back);

static int give_nothing(struct carom_call *call)
{
	(void)call;
	return 0;
}
CAROM_OFFER(give_nothing);

static int give_nonsense(struct carom_call *call)
{
	return carom_reply(call, "nonsense", 8);
}
CAROM_OFFER(give_nonsense);

static int reply_number(struct carom_call *call, int64_t number)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *out = NULL;
	int r = carom_document_build(&out, "L", number);

	return r < 0 ? r : carom_reply_document(call, out);
}

static int tell_pid(struct carom_call *call)
{
	return reply_number(call, getpid());
}
CAROM_OFFER(tell_pid);

/* A number: comes to the gate, and waits until it is let through. */
static int pass_gate(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *in = NULL;
	int64_t number;
	int r = carom_call_document(call, NULL, &in);

	if (r == 0)
		r = carom_object_int(carom_document_root(in), &number);
	if (r < 0 || !gate)
		return -EINVAL;
	gate_pass(gate, (uint32_t)number);
	return reply_number(call, number);
}
CAROM_OFFER(pass_gate);

static int die(struct carom_call *call)
{
	(void)call;
	kill(getpid(), SIGKILL);
	return 0;
}
CAROM_OFFER(die);

static int take_too_long(struct carom_call *call)
{
	(void)call;
	while (pause() < 0)
		;
	return 0;
}
CAROM_OFFER(take_too_long);

/* ---- initializers ---- */

static int64_t prepared;

static int prepare(const void *data, size_t size)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	const struct carom_serializer *serializer;
	int r = carom_serializer_of(NULL, &serializer);

	if (r == 0)
		r = serializer->load(data, size, NULL, &document);
	return r < 0 ? r : carom_object_int(carom_document_root(document), &prepared);
}

static int tell_prepared(struct carom_call *call)
{
	return reply_number(call, prepared);
}
CAROM_OFFER(tell_prepared);

static int refuse(const void *data, size_t size)
{
	(void)data;
	(void)size;
	return -EINVAL;
}

__attribute__((constructor)) static void offer_initializers(void)
{
	carom_offer_initializer("prepare", prepare);
	carom_offer_initializer("refuse", refuse);
}

#endif
