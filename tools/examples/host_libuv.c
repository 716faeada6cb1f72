/*
 * Host: a pool without threads in a libuv loop
 *
 * The loop has a heartbeat of its own, which goes on while the workers work.
 */
#include <errno.h>
#include <uv.h>

#include "collatz.h"

/**
 * struct host
 * @r: what the pool said last
 */
struct host {
	struct collatz search;
	uv_poll_t pool;
	uv_timer_t heart;
	int r;
};

static void beat(uv_timer_t *heart)
{
	struct host *host = heart->data;

	host->search.beat_count++;
}

static void pool_ready(uv_poll_t *watch, int status, int events)
{
	struct host *host = watch->data;

	host->r = status < 0 ? status : carom_pool_poll(host->search.pool, CAROM_PASSED);
	if (host->r >= 0)
		return;
	/* nothing more will come: without its handles the loop ends */
	uv_close((uv_handle_t *)&host->pool, NULL);
	uv_close((uv_handle_t *)&host->heart, NULL);
}

static int start(struct host *host, uv_loop_t *loop)
{
	int r = uv_poll_init(loop, &host->pool, carom_pool_fd(host->search.pool));

	if (r < 0)
		return r;
	host->pool.data = host;
	host->heart.data = host;
	uv_poll_start(&host->pool, UV_READABLE, pool_ready);
	uv_timer_init(loop, &host->heart);
	return uv_timer_start(&host->heart, beat, COLLATZ_HEARTBEAT_MS, COLLATZ_HEARTBEAT_MS);
}

int main(void)
{
	struct host host = { 0 };
	uv_loop_t *loop = uv_default_loop();
	int r = collatz_begin(&host.search);

	if (r == 0)
		r = start(&host, loop); /* libuv's errors are negative errno values too */
	if (r == 0) {
		uv_run(loop, UV_RUN_DEFAULT);
		uv_loop_close(loop);
		r = host.r;
	}
	return collatz_end(&host.search, r);
}
