/* Parcel: what a new child is told, and what is none. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/parcel.h"
#include "core/time.h"

static const int some_fds[] = { 5, 9, 1024 };

static struct carom_parcel example(void)
{
	struct carom_parcel parcel = {
		.self = { .name = "Process-1:2",
			  .identity = "1:2",
			  .parent_name = "MainProcess",
			  .parent_pid = 4711,
			  .is_daemon = true,
			  .authkey = { .size = 3, .bytes = "key" } },
		.log = { .level = 20, .to_stderr = 1 },
		.context = { .method = CAROM_START_SPAWN,
			     .options = { .billiard_exit_codes = true } },
		.function_name = "count_lines",
		.directory = "/tmp",
		.fds = some_fds,
		.fd_count = 3,
		.guard_fd = 7,
		.argument = "argument",
		.argument_size = 9,
	};

	return parcel;
}

/* All of it in one block of exactly its size, so that a byte too far is seen; malloc'd. */
static void *pack(const struct carom_parcel *parcel, size_t *ret_size)
{
	size_t head_size;
	void *head;
	char *block;

	cr_assert(carom_parcel_pack(parcel, &head, &head_size) == 0);
	block = aligned_alloc(64, (head_size + parcel->argument_size + 63) / 64 * 64);
	memcpy(block, head, head_size);
	if (parcel->argument_size)
		memcpy(block + head_size, parcel->argument, parcel->argument_size);
	free(head);
	*ret_size = head_size + parcel->argument_size;
	return block;
}

Test(parcel, says_what_was_packed)
{
	struct carom_parcel parcel = example(), got;
	size_t size;
	void *block = pack(&parcel, &size);

	cr_assert(carom_parcel_unpack(block, size, &got) == 0);
	cr_expect(strcmp(got.self.name, "Process-1:2") == 0);
	cr_expect(strcmp(got.self.identity, "1:2") == 0);
	cr_expect(strcmp(got.self.parent_name, "MainProcess") == 0);
	cr_expect(got.self.parent_pid == 4711 && got.self.is_daemon);
	cr_expect(got.self.authkey.size == 3 && memcmp(got.self.authkey.bytes, "key", 3) == 0);
	cr_expect(got.log.level == 20 && got.log.to_stderr == 1);
	cr_expect(got.context.method == CAROM_START_SPAWN);
	cr_expect(got.context.options.billiard_exit_codes && !got.context.options.refuse_threads);
	cr_expect(strcmp(got.function_name, "count_lines") == 0);
	cr_expect(strcmp(got.directory, "/tmp") == 0);
	cr_expect(got.function == NULL && got.guard_fd == 7);
	cr_assert(got.fd_count == 3);
	cr_expect(memcmp(got.fds, some_fds, sizeof(some_fds)) == 0);
	cr_assert(got.argument_size == 9);
	cr_expect(memcmp(got.argument, "argument", 9) == 0);
	cr_expect(zero(u64, (uint64_t)(uintptr_t)got.argument % 64));
	free(block);
}

Test(parcel, may_hold_next_to_nothing)
{
	struct carom_parcel parcel = { .guard_fd = -1, .sandbox_fd = -1 }, got;
	size_t size;
	void *block = pack(&parcel, &size);

	cr_assert(carom_parcel_unpack(block, size, &got) == 0);
	cr_expect(got.function_name == NULL && got.directory == NULL);
	cr_expect(got.fd_count == 0 && got.argument_size == 0);
	free(block);
}

Test(parcel, travels_in_a_file)
{
	struct carom_parcel parcel = example(), got;
	size_t head_size;
	void *head;
	int fd = -1;

	cr_assert(carom_parcel_pack(&parcel, &head, &head_size) == 0);
	cr_assert(carom_parcel_file(head, head_size, parcel.argument, parcel.argument_size, &fd) ==
		  0);
	free(head);
	cr_expect(write(fd, "", 1) < 0 && errno == EPERM); /* sealed */
	cr_expect(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	cr_assert(carom_parcel_open(fd, &got) == 0);
	cr_expect(strcmp(got.self.name, "Process-1:2") == 0);
	cr_expect(memcmp(got.argument, "argument", 9) == 0);
	close(fd);
}

Test(parcel, that_is_no_file_is_refused)
{
	struct carom_parcel got;
	int ends[2], fd;

	cr_assert(pipe(ends) == 0);
	cr_expect(carom_parcel_open(ends[0], &got) == -EBADMSG);
	cr_expect(carom_parcel_open(-1, &got) == -EBADF);
	fd = memfd_create("nothing", MFD_CLOEXEC);
	cr_expect(carom_parcel_open(fd, &got) == -EBADMSG);
	cr_assert(write(fd, "hello\n", 6) == 6);
	cr_expect(carom_parcel_open(fd, &got) == -EBADMSG);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cr_expect(carom_parcel_open(fd, &got) == -EBADMSG);
}

/* --- nonsense ----------------------------------------------------------- */

static uint32_t chance(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

static size_t sum_bytes(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	size_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += bytes[i];
	return sum;
}

/*
 * Reads all that a child would read: what lies outside the block is a crash here, or a
 * sanitizer's complaint, and what is no bool as well.
 */
static size_t read_all(const struct carom_parcel *parcel)
{
	const struct carom_context_options *options = &parcel->context.options;
	size_t sum = 0;

	cr_assert(memchr(parcel->self.name, '\0', CAROM_NAME_MAX) != NULL);
	cr_assert(memchr(parcel->self.identity, '\0', CAROM_IDENTITY_MAX) != NULL);
	cr_assert(memchr(parcel->self.parent_name, '\0', CAROM_NAME_MAX) != NULL);
	cr_assert(parcel->context.method < CAROM_START_METHOD_COUNT);
	cr_assert(parcel->self.authkey.size <= CAROM_AUTHKEY_MAX);
	sum += parcel->self.is_daemon + options->no_daemon_children + options->billiard_exit_codes +
	       options->billiard_environment + options->refuse_threads;
	sum += sum_bytes(parcel->self.authkey.bytes, parcel->self.authkey.size);
	sum += parcel->function_name ? strlen(parcel->function_name) : 0;
	sum += parcel->directory ? strlen(parcel->directory) : 0;
	for (size_t i = 0; i < parcel->fd_count; i++)
		sum += (size_t)parcel->fds[i];
	return sum + sum_bytes(parcel->argument, parcel->argument_size);
}

/* At the end of its pages: what lies behind it cannot be read. */
static char *at_the_edge(const void *data, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t whole = (size + page - 1) / page * page;
	char *memory = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	cr_assert(memory != MAP_FAILED);
	mprotect(memory + whole, page, PROT_NONE);
	if (data)
		memcpy(memory + whole - size, data, size);
	return memory + whole - size;
}

static void mutate(char *data, size_t size, uint64_t *state)
{
	static const uint64_t edges[] = { 0, 1, 63, 64, UINT32_MAX, INT64_MAX, UINT64_MAX };
	size_t at = chance(state) % (size - 8);
	uint64_t word;

	switch (chance(state) % 4) {
	case 0:
		data[at] = (char)chance(state);
		break;
	case 1:
		data[at] = (char)(data[at] ^ 1 << chance(state) % 8);
		break;
	case 2: /* words are where sizes and places stand */
		word = edges[chance(state) % 7];
		memcpy(data + at / 8 * 8, &word, 8);
		break;
	default:
		memset(data + at, 'x', chance(state) % (size - at));
	}
}

static uint64_t new_seed(void)
{
	const char *given = getenv("CAROM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : carom_now();

	fprintf(stderr, "# CAROM_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

enum { ROUNDS = 200000 };

Test(parcel, with_any_byte_changed_is_read_safely_or_refused, .timeout = 30)
{
	struct carom_parcel parcel = example(), got;
	uint64_t state = new_seed();
	volatile size_t sum = 0;
	size_t size, accepted = 0;
	void *block;
	char *data;

	parcel.argument_size = 8; /* a word's multiple, so that the block ends at the edge */
	block = pack(&parcel, &size);
	data = at_the_edge(NULL, size);
	for (int i = 0; i < ROUNDS; i++) {
		memcpy(data, block, size);
		for (uint32_t n = chance(&state) % 3; n + 1; n--)
			mutate(data, size, &state);
		if (carom_parcel_unpack(data, size, &got) == 0) {
			sum += read_all(&got);
			accepted++;
		}
	}
	/* some changes are to what means nothing, some to what means everything */
	cr_expect(accepted > 0 && accepted < ROUNDS, "%zu", accepted);
	free(block);
}

Test(parcel, that_is_cut_is_refused)
{
	struct carom_parcel parcel = example(), got;
	size_t size;
	char *block = pack(&parcel, &size);

	for (size_t cut = 0; cut < size; cut++) {
		/* as far at the edge as its words allow */
		char *data = at_the_edge(NULL, (cut + 7) / 8 * 8);

		memcpy(data, block, cut);
		cr_assert(carom_parcel_unpack(data, cut, &got) == -EBADMSG, "%zu bytes", cut);
	}
	free(block);
}

Test(parcel, of_random_bytes_is_refused, .timeout = 30)
{
	uint64_t state = new_seed(), word;
	char *data = at_the_edge(NULL, 4096);
	struct carom_parcel got;

	for (int i = 0; i < 20000; i++) {
		size_t size = chance(&state) % 512 * 8;
		char *begin = data + 4096 - size;

		for (size_t at = 0; at < size; at += 8) {
			word = (uint64_t)chance(&state) << 32 | chance(&state);
			memcpy(begin + at, &word, 8);
		}
		cr_assert(carom_parcel_unpack(begin, size, &got) == -EBADMSG);
	}
}
