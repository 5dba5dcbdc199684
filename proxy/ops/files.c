#include "proxy/ops/files.h"

#include <sys/stat.h>

/* FNV-1a over what tells one state of a file from another. */
static uint64_t mix(uint64_t mark, uint64_t value)
{
	for (unsigned i = 0; i < sizeof(value); i++) {
		mark = (mark ^ (value >> (i * 8) & 0xff)) * 0x100000001b3;
	}
	return mark;
}

static uint64_t mix_file(uint64_t mark, const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		return mix(mark, 0);
	}
	mark = mix(mark, status.st_dev);
	mark = mix(mark, status.st_ino);
	mark = mix(mark, (uint64_t)status.st_size);
	mark = mix(mark, (uint64_t)status.st_mtim.tv_sec);
	return mix(mark, (uint64_t)status.st_mtim.tv_nsec);
}

uint64_t files_mark(const struct config *config)
{
	uint64_t mark = 0xcbf29ce484222325;

	for (size_t i = 0; i < config->certificate_count; i++) {
		mark = mix_file(mark, config->certificates[i].certificate);
		mark = mix_file(mark, config->certificates[i].key);
	}
	return mark;
}
