#include "proxy/ops/source.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024 + 1)

/*
 * The memory file that roles read; its first line says what follows: "url" or the path.
 * Takes the configuration, and gives it back where that worked.
 */
static struct config *with_text(struct config *config, const struct source *source,
				struct bytes text, int *text_fd,
				struct config_errors *errors)
{
	int fd;

	if (!config) {
		return NULL;
	}
	fd = memfd_create("popbridge-config", MFD_CLOEXEC);
	if (fd >= 0 && dprintf(fd, "%s\n%.*s", source->url ? "url" : source->path,
			       (int)text.len, text.at) >= 0) {
		*text_fd = fd;
		return config;
	}
	config_errors_add(errors, "the configuration cannot be handed on: %s",
			  strerror(errno));
	if (fd >= 0) {
		close(fd);
	}
	config_free(config);
	return NULL;
}

static bool read_all(int fd, struct buffer *out)
{
	ssize_t got;

	do {
		if (!buffer_reserve(out, 4096)) {
			return true; // too long: config_parse() says so
		}
		got = read(fd, out->data + out->len, 4096);
		out->len += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	return got == 0;
}

static struct config *load_file(const struct source *source, int *text_fd,
				struct config_errors *errors)
{
	const int fd = open(source->path, O_RDONLY | O_CLOEXEC);
	struct config *config = NULL;
	struct buffer text;

	buffer_init(&text, TEXT_MAX + 4096);
	if (fd >= 0 && read_all(fd, &text)) {
		config = config_parse(buffer_bytes(&text), source->path, errors);
		config = with_text(config, source, buffer_bytes(&text), text_fd, errors);
	} else if ((config = config_load(source->path, errors))) { // else it says why
		config_errors_add(errors, "%s: was replaced while it was read; try again",
				  source->path);
		config_free(config);
		config = NULL;
	}
	buffer_release(&text);
	if (fd >= 0) {
		close(fd);
	}
	return config;
}

static struct config *load_text(const struct source *source, int *text_fd,
				struct config_errors *errors)
{
	const struct bytes text = bytes_of(source->text);

	return with_text(config_parse(text, source->path, errors), source, text, text_fd,
			 errors);
}

struct config *source_load(const struct source *source, int *text_fd,
			   struct config_errors *errors)
{
	if (source->text) {
		return load_text(source, text_fd, errors);
	}
	if (!source->url) {
		return load_file(source, text_fd, errors);
	}
	return with_text(config_from_url(source->url, errors), source,
			 bytes_of(source->url), text_fd, errors);
}

static struct config *parse(struct bytes text, struct config_errors *errors)
{
	const char *end = memchr(text.at, '\n', text.len);
	struct config *config;
	char *first;

	if (!end) {
		return NULL;
	}
	first = memory_copy_text((struct bytes){ text.at, (size_t)(end - text.at) });
	bytes_skip(&text, (size_t)(end - text.at) + 1);
	if (strcmp(first, "url") == 0) {
		char *url = memory_copy_text(text);

		config = config_from_url(url, errors);
		free(url);
	} else {
		config = config_parse(text, first, errors);
	}
	free(first);
	return config;
}

/* All roles share one file position, so each reads by its own. */
static bool read_shared(int fd, struct buffer *out)
{
	ssize_t got;

	do {
		if (!buffer_reserve(out, 4096)) {
			return false;
		}
		got = pread(fd, out->data + out->len, 4096, (off_t)out->len);
		out->len += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	return got == 0;
}

struct config *source_from_descriptor(int text_fd, struct config_errors *errors)
{
	struct config *config = NULL;
	struct buffer text;

	buffer_init(&text, TEXT_MAX + 8192);
	if (read_shared(text_fd, &text) && text.len > 0) {
		config = parse(buffer_bytes(&text), errors);
	}
	buffer_release(&text);
	close(text_fd);
	return config;
}

const char *source_text(int text_fd, struct buffer *text)
{
	const char *first;

	if (!read_shared(text_fd, text) ||
	    !buffer_append(text, (struct bytes){ "", 1 })) {
		return NULL;
	}
	first = strchr(text->data, '\n'); // what follows is the text itself
	return first ? first + 1 : NULL;
}
