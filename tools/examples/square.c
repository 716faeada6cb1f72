/*
 * square: the program of the README. One of its numbers costs a worker its life.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

static int square(struct carom_call *call) /* runs in a worker process */
{
	int64_t x;
	int r = carom_call_read(call, &x, sizeof(x));

	if (r < 0)
		return r;
	if (x == 3)
		raise(SIGKILL); /* the worst that can happen to it */
	x *= x;
	return carom_reply(call, &x, sizeof(x));
}

int main(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[] = { 1, 2, 3, 4, 5 }, out[5];
	struct carom_outcome outcomes[5];
	char text[160];
	int r;

	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2), &pool);
	if (r < 0)
		return carom_complain("pool", r);
	r = carom_pool_map(pool, square, in, 5, sizeof(*in), out, sizeof(*out),
			   &CAROM_MAP_OPTIONS(.outcomes = outcomes));
	if (r < 0 && r != -EREMOTEIO)
		return carom_complain("map", r);
	for (int i = 0; i < 5; i++)
		if (outcomes[i].kind == CAROM_OUTCOME_OK)
			printf("%" PRId64 "\n", out[i]);
		else
			puts(carom_outcome_describe(&outcomes[i], text, sizeof(text)));
	return 0;
}
