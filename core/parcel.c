/*
 * Parcel
 *
 * Both sides are the same library, but not always the same program: the version of the
 * layout is checked, and so is every size, since a person may call a program with the
 * marker of an exec'd child and any descriptor.
 */
#include "core/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"

#define MAGIC UINT64_C(0x316c637261706d63) /* "cmparcl1" */
#define ALIGN 64

enum text { TEXT_FUNCTION, TEXT_RUN, TEXT_DIRECTORY, TEXT_TEMP_DIR, TEXT_COUNT };

/**
 * struct head - the first bytes
 * @size:  of all, the argument included
 * @texts: where each begins, NUL-terminated; 0: there is none
 */
struct head {
	uint64_t magic;
	uint64_t head_size; /* of this struct: another version's differs */
	uint64_t size;
	struct carom_self self;
	struct carom_log_settings log;
	struct carom_context_settings context;
	uint64_t function;
	uint64_t run;
	uint64_t texts[TEXT_COUNT];
	uint64_t fds_at;
	uint64_t fd_count;
	int32_t guard_fd;
	int32_t sandbox_fd;
	uint64_t argument_at;
	uint64_t argument_size;
};

static uint64_t round_up(uint64_t value)
{
	return (value + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* --- pack -------------------------------------------------------------- */

static void put_text(struct head *head, enum text which, const char *text, uint64_t *at)
{
	if (!text)
		return;
	head->texts[which] = *at;
	memcpy((char *)head + *at, text, text_size(text));
	*at += text_size(text);
}

int *carom_parcel_kept_fds(const struct carom_parcel *parcel)
{
	int *kept = calloc(parcel->fd_count + 1, sizeof(int));

	if (!kept)
		return NULL;
	if (parcel->fd_count)
		memcpy(kept, parcel->fds, parcel->fd_count * sizeof(int));
	kept[parcel->fd_count] = parcel->guard_fd;
	return kept;
}

int carom_parcel_pack(const struct carom_parcel *parcel, void **ret_head, size_t *ret_size)
{
	size_t fds_size = parcel->fds ? parcel->fd_count * sizeof(int) : 0;
	uint64_t at = sizeof(struct head) + fds_size;
	uint64_t size =
		round_up(at + text_size(parcel->function_name) + text_size(parcel->run_name) +
			 text_size(parcel->directory) + text_size(parcel->temp_dir));
	struct head *head = aligned_alloc(ALIGN, size);

	if (!head)
		return -ENOMEM;
	memset(head, 0, size);
	head->magic = MAGIC;
	head->head_size = sizeof(*head);
	head->size = size + parcel->argument_size;
	head->self = parcel->self;
	head->log = parcel->log;
	head->context = parcel->context;
	head->function = (uint64_t)(uintptr_t)parcel->function;
	head->run = (uint64_t)(uintptr_t)parcel->run;
	head->guard_fd = parcel->guard_fd;
	head->sandbox_fd = parcel->sandbox_fd;
	head->fds_at = sizeof(*head);
	head->fd_count = fds_size ? parcel->fd_count : 0;
	if (fds_size)
		memcpy(head + 1, parcel->fds, fds_size);
	put_text(head, TEXT_FUNCTION, parcel->function_name, &at);
	put_text(head, TEXT_RUN, parcel->run_name, &at);
	put_text(head, TEXT_DIRECTORY, parcel->directory, &at);
	put_text(head, TEXT_TEMP_DIR, parcel->temp_dir, &at);
	head->argument_at = size;
	head->argument_size = parcel->argument_size;
	*ret_head = head;
	*ret_size = size;
	return 0;
}

static int write_all(int fd, struct iovec *part)
{
	while (part->iov_len) {
		ssize_t n = write(fd, part->iov_base, part->iov_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOSPC ? -ENOMEM : -errno;
		part->iov_base = (char *)part->iov_base + n;
		part->iov_len -= (size_t)n;
	}
	return 0;
}

int carom_parcel_file(const void *head, size_t head_size, const void *argument, size_t size,
		      int *ret_fd)
{
	struct iovec parts[2] = { { (void *)head, head_size }, { (void *)argument, size } };
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_file_new("carom-parcel");
	int r;

	if (fd < 0)
		return fd;
	r = write_all(fd, &parts[0]);
	if (r == 0)
		r = write_all(fd, &parts[1]);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

/* --- unpack ------------------------------------------------------------ */

static bool lies_within(uint64_t at, uint64_t size, uint64_t whole)
{
	return at <= whole && size <= whole - at;
}

static bool is_text(const struct head *head, enum text which)
{
	uint64_t at = head->texts[which];

	return at == 0 || (at < head->argument_at &&
			   memchr((const char *)head + at, '\0', head->argument_at - at));
}

static bool is_name(const char *name, size_t size)
{
	return memchr(name, '\0', size) != NULL;
}

/* Of what is not one it may not even be read as one. */
static bool is_bool(const bool *flag)
{
	unsigned char byte;

	memcpy(&byte, flag, sizeof(byte));
	return byte <= 1;
}

static bool is_self(const struct carom_self *self)
{
	return is_name(self->name, sizeof(self->name)) &&
	       is_name(self->identity, sizeof(self->identity)) &&
	       is_name(self->parent_name, sizeof(self->parent_name)) && self->parent_pid >= 0 &&
	       is_bool(&self->is_daemon) && self->authkey.size <= CAROM_AUTHKEY_MAX;
}

static bool is_context(const struct carom_context_settings *context)
{
	const struct carom_context_options *options = &context->options;
	uint32_t method;

	memcpy(&method, &context->method, sizeof(method));
	return method < CAROM_START_METHOD_COUNT && is_bool(&options->no_daemon_children) &&
	       is_bool(&options->billiard_exit_codes) && is_bool(&options->billiard_environment) &&
	       is_bool(&options->refuse_threads);
}

static bool is_layout(const struct head *head, size_t size)
{
	return lies_within(head->argument_at, head->argument_size, size) &&
	       head->argument_at % ALIGN == 0 && head->fds_at % sizeof(int) == 0 &&
	       head->fd_count <= size &&
	       lies_within(head->fds_at, head->fd_count * sizeof(int), head->argument_at) &&
	       is_text(head, TEXT_FUNCTION) && is_text(head, TEXT_RUN) &&
	       is_text(head, TEXT_DIRECTORY) && is_text(head, TEXT_TEMP_DIR);
}

static bool is_sound(const struct head *head, size_t size)
{
	return size >= sizeof(*head) && head->magic == MAGIC && head->head_size == sizeof(*head) &&
	       head->size == size && is_layout(head, size) && is_self(&head->self) &&
	       is_context(&head->context);
}

static const char *get_text(const struct head *head, enum text which)
{
	return head->texts[which] ? (const char *)head + head->texts[which] : NULL;
}

int carom_parcel_unpack(const void *data, size_t size, struct carom_parcel *ret_parcel)
{
	const struct head *head = data;

	if (!is_sound(head, size))
		return -EBADMSG;
	*ret_parcel = (struct carom_parcel){
		.self = head->self,
		.log = head->log,
		.context = head->context,
		.function = (carom_process_fn *)(uintptr_t)head->function,
		.function_name = get_text(head, TEXT_FUNCTION),
		.run = (carom_process_fn *)(uintptr_t)head->run,
		.run_name = get_text(head, TEXT_RUN),
		.directory = get_text(head, TEXT_DIRECTORY),
		.temp_dir = get_text(head, TEXT_TEMP_DIR),
		.fds = (const int *)(const void *)((const char *)data + head->fds_at),
		.fd_count = head->fd_count,
		.guard_fd = head->guard_fd,
		.sandbox_fd = head->sandbox_fd,
		.argument = (const char *)data + head->argument_at,
		.argument_size = head->argument_size,
	};
	return 0;
}

int carom_parcel_open(int fd, struct carom_parcel *ret_parcel)
{
	struct stat status;
	void *data;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		return -EBADMSG;
	data = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	return carom_parcel_unpack(data, (size_t)status.st_size, ret_parcel);
}
