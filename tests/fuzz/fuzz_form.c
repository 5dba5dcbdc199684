/* What is taken decodes to text without NUL inside of the form's own, never longer. */
#include "proxy/web/form.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void must(bool holds)
{
	if (!holds) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *text = malloc(size + 1);
	struct bytes cookie;
	struct form form;

	must(text != NULL);
	memcpy(text, input, size);
	text[size] = '\0';
	if (form_read((struct bytes){ text, size }, &form)) {
		for (int i = 0; i < FORM_FIELDS; i++) {
			const struct bytes value = form.value[i];

			must(value.len <= size);
			must(value.len == 0 ||
			     (value.at >= form.text.data &&
			      value.at + value.len <= form.text.data + form.text.len));
			must(value.len == 0 || !memchr(value.at, '\0', value.len));
		}
	}
	form_release(&form);
	cookie = form_cookie(text, "__Host-popbridge");
	must(cookie.len == 0 ||
	     (cookie.at >= text && cookie.at + cookie.len <= text + size));
	free(text);
	return 0;
}
