/* Sandboxes for tests, which are skipped where there are none of that kind. */
#ifndef TESTS_CORE_SANDBOXES_H
#define TESTS_CORE_SANDBOXES_H

#include <criterion/criterion.h>
#include <errno.h>

#include "core/process.h"
#include "core/sandbox.h"
#include "core/time.h"

static inline struct carom_sandbox *sandbox_with(struct carom_sandbox_options options)
{
	struct carom_sandbox *sandbox = NULL;
	char text[512] = "";
	int r = carom_sandbox_check(&options, text, sizeof(text));

	/* a test that fails while its child waits for it does not wait for that child */
	carom_set_exit_limit(CAROM_SECONDS(1));
	if (r == -EOPNOTSUPP)
		cr_skip_test("skipped: %s", text);
	cr_assert(r == 0, "%d: %s", r, text);
	cr_assert(carom_sandbox_new(&options, &sandbox) == 0);
	return sandbox;
}

#define SANDBOX(...) sandbox_with(CAROM_SANDBOX_OPTIONS(__VA_ARGS__))

#endif
