/*
 * service: a pool behind a socket, as systemd or a container runs it
 *
 *	service SOCKET CONFIGURATION
 *
 * Each datagram that comes to SOCKET is a word; a worker counts its letters, and the answer
 * goes to standard output. Workers read CONFIGURATION, one word that stands before each
 * answer, when they begin.
 *
 *	SIGHUP            workers are replaced one after the other, and so read it anew; who has
 *	                  work finishes that first, and no request is lost
 *	SIGTERM, SIGINT   what was accepted is done, within DRAIN_SECONDS, and the service ends
 *
 * systemd is told of each: see notify.h, and carom-example.service beside this file.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

#define WORD_MAX       256
#define RELOAD_SECONDS 10
#define DRAIN_SECONDS  8 /* less than docker stop grants */

/* ---- in a worker ---- */

static char greeting[64];

static int read_configuration(const void *path, size_t size)
{
	FILE *file = fopen(path, "re");
	int found = file ? fscanf(file, "%63s", greeting) : 0;

	if (file)
		fclose(file);
	return found == 1 ? 0 : -ENODATA;
}

static int count_letters(struct carom_call *call)
{
	size_t size;
	const char *word = carom_call_data(call, &size);
	char answer[WORD_MAX + sizeof(greeting) + 32];
	int length = snprintf(answer, sizeof(answer), "%s: %.*s has %zu letters", greeting,
			      (int)size, word, size);

	return carom_reply(call, answer, (size_t)length + 1);
}

/* ---- in the program ---- */

struct service {
	struct carom_pool *pool;
	int socket_fd;
	int signal_fd;
	_Atomic uint64_t answer_count;
};

static int answered(struct carom_result *result, void *userdata)
{
	struct service *service = userdata;
	const void *answer;
	size_t size;
	struct carom_outcome outcome;
	char text[160];

	service->answer_count++;
	if (carom_result_data(result, &answer, &size) == 0) {
		puts(answer);
	} else {
		carom_result_outcome(result, &outcome);
		puts(carom_outcome_describe(&outcome, text, sizeof(text)));
	}
	return fflush(stdout) == 0 ? 0 : -EIO;
}

static int take_request(struct service *service)
{
	char word[WORD_MAX];
	ssize_t size = recv(service->socket_fd, word, sizeof(word), MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN ? 0 : -errno;
	return carom_pool_apply_async(service->pool, count_letters, word, (size_t)size,
				      &CAROM_TASK_OPTIONS(.callback = answered,
							  .error_callback = answered,
							  .userdata = service),
				      NULL);
}

static void reload(struct service *service)
{
	int r;

	notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Replacing workers",
	       carom_now() / 1000);
	r = carom_pool_restart(service->pool, CAROM_RESTART_ROLLING,
			       carom_deadline_after(CAROM_SECONDS(RELOAD_SECONDS)));
	if (r < 0)
		carom_complain("reload", r); /* those that were not replaced go on as before */
	notify("READY=1\nSTATUS=%s", r < 0 ? carom_strerror(r) : "Reloaded");
}

/* Return: 1: it is to end */
static int take_signal(struct service *service)
{
	struct signalfd_siginfo info;

	if (read(service->signal_fd, &info, sizeof(info)) != sizeof(info))
		return -errno;
	if (info.ssi_signo != SIGHUP)
		return 1;
	reload(service);
	return 0;
}

static void tell_status(struct service *service)
{
	notify("WATCHDOG=1\nSTATUS=%" PRIu64 " answers", service->answer_count);
}

static int serve(struct service *service)
{
	struct pollfd fds[] = { { .fd = service->signal_fd, .events = POLLIN },
				{ .fd = service->socket_fd, .events = POLLIN } };
	uint64_t every_ns = notify_watchdog_ns();
	uint64_t due_ns = every_ns ? carom_deadline_after(every_ns) : CAROM_NO_DEADLINE;
	int r = 0;

	while (r == 0) {
		uint64_t now = carom_now();
		int wait_ms = !every_ns ? -1 : due_ns > now ? (int)((due_ns - now) / 1000000) : 0;
		int n = poll(fds, 2, wait_ms);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[1].revents)
			r = take_request(service);
		if (r == 0 && n > 0 && fds[0].revents)
			r = take_signal(service);
		if (carom_now() >= due_ns) {
			tell_status(service);
			due_ns = carom_deadline_after(every_ns);
		}
	}
	return r;
}

/* what stands in the socket was sent before it was told to end, and is served */
static int end(struct service *service)
{
	struct pollfd fd = { .fd = service->socket_fd, .events = POLLIN };
	int r = 0;

	notify("STOPPING=1\nSTATUS=Finishing what was accepted");
	while (r == 0 && poll(&fd, 1, 0) > 0)
		r = take_request(service);
	if (r == 0)
		r = carom_pool_drain(service->pool,
				     carom_deadline_after(CAROM_SECONDS(DRAIN_SECONDS)));
	if (r > 0)
		fprintf(stderr, "%d requests were not done\n", r);
	return r;
}

/* before the pool is made: its threads and workers are not to get them */
static int listen_to_signals(int *ret_fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int open_socket(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	unlink(path); /* of one that was killed */
	*ret_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*ret_fd < 0 || bind(*ret_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static int run(struct service *service, const char *socket_path, const char *configuration)
{
	int r = carom_pool_new(
		&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS, .name = "example",
				    .initializer = read_configuration,
				    .initializer_data = configuration,
				    .initializer_size = strlen(configuration) + 1,
				    .hard_limit_ns = CAROM_SECONDS(2), .statistics = 1),
		&service->pool);

	if (r == 0)
		r = carom_pool_wait_ready(service->pool, carom_deadline_after(CAROM_SECONDS(10)));
	if (r == 0)
		r = open_socket(socket_path, &service->socket_fd);
	if (r < 0)
		return r;
	notify("READY=1\nSTATUS=Waiting for words");
	r = serve(service);
	if (r > 0)
		r = end(service);
	unlink(socket_path);
	return r;
}

int main(int argc, char **argv)
{
	struct service service = { .socket_fd = -1 };
	int r;

	if (argc != 3) {
		fprintf(stderr, "Usage: %s SOCKET CONFIGURATION\n", argv[0]);
		return 2;
	}
	r = listen_to_signals(&service.signal_fd);
	if (r == 0)
		r = run(&service, argv[1], argv[2]);
	carom_pool_free(service.pool);
	return r < 0 ? carom_complain("service", r) : r > 0;
}
