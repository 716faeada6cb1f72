/*
 * Served: a pool in a server, whose clients say by name what is to be done
 *
 * The server is a process of its own, and so may be its clients: here a child of the program is
 * one, and asks for what costs a worker its life.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* runs in a worker: how many primes there are below a number */
static int count_primes(struct carom_call *call)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *in = NULL;
	CAROM_CLEANUP(carom_document_freep) struct carom_document *out = NULL;
	int64_t limit, count = 0;
	int r = carom_call_document(call, NULL, &in);

	if (r == 0)
		r = carom_object_int(carom_document_root(in), &limit);
	if (r < 0)
		return r;
	if (limit < 0)
		raise(SIGKILL); /* the worst that can happen to it */
	for (int64_t n = 2; n < limit; n++) {
		int64_t divisor = 2;

		while (divisor * divisor <= n && n % divisor != 0)
			divisor++;
		count += divisor * divisor > n;
	}
	r = carom_document_build(&out, "L", count);
	return r < 0 ? r : carom_reply_document(call, out);
}
CAROM_OFFER(count_primes);

static int print_of(struct carom_proxy *proxy, const char *method, const char *format, ...)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *value = NULL;
	char text[1024];
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = carom_proxy_vcall(proxy, method, carom_deadline_after(CAROM_SECONDS(30)), &value,
			      format, arguments);
	va_end(arguments);
	if (r == 0)
		carom_object_describe(carom_document_root(value), text, sizeof(text));
	else
		carom_proxy_error(text, sizeof(text));
	puts(text);
	return r;
}

/* what a client may do that another process is: it has the same pool */
static int be_client(struct carom_proxy *pool)
{
	return print_of(pool, "apply", "s(i)", "count_primes", -1) == -EREMOTEIO ? 0 : 1;
}

int main(void)
{
	CAROM_CLEANUP(carom_manager_freep) struct carom_manager *manager = NULL;
	CAROM_CLEANUP(carom_proxy_freep) struct carom_proxy *pool = NULL;
	CAROM_CLEANUP(carom_proxy_freep) struct carom_proxy *result = NULL;
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(30));
	int status, r = carom_manager_sync(&manager);

	if (r == 0)
		r = carom_manager_create(manager, "Pool", deadline_ns, &pool, "i", 2);
	if (r == 0)
		r = carom_proxy_call_proxy(pool, "apply_async", deadline_ns, &result, "s(i)",
					   "count_primes", 1000000);
	if (r == 0)
		r = print_of(pool, "map", "s[iiii]", "count_primes", 10, 100, 1000, 10000);
	if (r < 0)
		return carom_complain("pool", r);
	fflush(stdout);
	if (fork() == 0)
		exit(be_client(pool));
	wait(&status);
	r = print_of(result, "get", "");
	return r < 0 ? carom_complain("result", r) : status;
}
