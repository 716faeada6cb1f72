/*
 * Instead of libgit2, of which Criterion shows with how two texts differ
 *
 * No test that passes needs that. But Criterion is linked with it, each case is a process of its
 * own, and libgit2 brings fourteen libraries along: to load them took longer than most cases do.
 * This has its name, so that it is not loaded, and shows the lines between the first and the last
 * that differ.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

/** struct git_diff_line - as libgit2 tells of one; Criterion reads @origin and @content */
struct git_diff_line {
	char origin;
	int old_line, new_line, line_count;
	size_t content_size;
	int64_t content_offset;
	const char *content;
};
typedef int line_fn(const void *delta, const void *hunk, const struct git_diff_line *line,
		    void *userdata);

/** struct text - what is left of it */
struct text {
	const char *begin;
	const char *end;
};

EXPORTED int git_libgit2_init(void);
EXPORTED int git_libgit2_shutdown(void);
EXPORTED int git_diff_buffers(const char *old_text, size_t old_size, const char *old_path,
			      const char *new_text, size_t new_size, const char *new_path,
			      const void *options, void *file, void *binary, void *hunk,
			      line_fn *line, void *userdata);

int git_libgit2_init(void)
{
	return 1;
}

int git_libgit2_shutdown(void)
{
	return 0;
}

static struct text first_line(const struct text *text)
{
	const char *end = memchr(text->begin, '\n', (size_t)(text->end - text->begin));

	return (struct text){ text->begin, end ? end + 1 : text->end };
}

static struct text last_line(const struct text *text)
{
	const char *begin = text->end;

	while (begin > text->begin && (begin == text->end || begin[-1] != '\n'))
		begin--;
	return (struct text){ begin, text->end };
}

static bool are_equal(const struct text *a, const struct text *b)
{
	size_t size = (size_t)(a->end - a->begin);

	return size > 0 && size == (size_t)(b->end - b->begin) && !memcmp(a->begin, b->begin, size);
}

static void drop_common_lines(struct text *a, struct text *b)
{
	struct text in_a, in_b;

	while (in_a = first_line(a), in_b = first_line(b), are_equal(&in_a, &in_b)) {
		a->begin = in_a.end;
		b->begin = in_b.end;
	}
	while (in_a = last_line(a), in_b = last_line(b), are_equal(&in_a, &in_b)) {
		a->end = in_a.begin;
		b->end = in_b.begin;
	}
}

static int tell(struct text text, char origin, line_fn *line, void *userdata)
{
	int r = 0;

	while (r == 0 && text.begin < text.end) {
		struct text one = first_line(&text);
		bool is_whole = one.end[-1] == '\n';
		size_t size = (size_t)(one.end - one.begin) - is_whole;

		r = line(NULL, NULL,
			 &(struct git_diff_line){ origin, .content = one.begin,
						  .content_size = size },
			 userdata);
		if (r == 0)
			r = line(NULL, NULL, &(struct git_diff_line){ '\n' }, userdata);
		text.begin = one.end;
	}
	return r;
}

int git_diff_buffers(const char *old_text, size_t old_size, const char *old_path,
		     const char *new_text, size_t new_size, const char *new_path,
		     const void *options, void *file, void *binary, void *hunk, line_fn *line,
		     void *userdata)
{
	struct text a = { old_text, old_text + old_size }, b = { new_text, new_text + new_size };
	int r;

	drop_common_lines(&a, &b);
	r = tell(a, '-', line, userdata);
	return r < 0 ? r : tell(b, '+', line, userdata);
}
