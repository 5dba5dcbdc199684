#include "proxy/keeper/store_copy.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* write() takes at most 2 GiB at a time. */
static bool write_all(int fd, const unsigned char *image, size_t len)
{
	while (len > 0) {
		const ssize_t written = write(fd, image, len);

		if (written <= 0) {
			return false;
		}
		image += written;
		len -= (size_t)written;
	}
	return true;
}

int store_copy_write(sqlite3 *db)
{
	sqlite3_int64 len = 0;
	unsigned char *image = sqlite3_serialize(db, "main", &len, 0);
	int fd = image ? memfd_create("popbridge-store", MFD_CLOEXEC) : -1;

	if (fd >= 0 && !write_all(fd, image, (size_t)len)) {
		close(fd);
		fd = -1;
	}
	sqlite3_free(image);
	return fd;
}

static bool read_all(int fd, unsigned char *image, size_t len)
{
	for (size_t done = 0; done < len;) {
		const ssize_t got = pread(fd, image + done, len - done, (off_t)done);

		if (got <= 0) {
			return false;
		}
		done += (size_t)got;
	}
	return true;
}

bool store_copy_read(sqlite3 *db, int fd)
{
	struct stat status;
	unsigned char *image;

	if (fstat(fd, &status) != 0 || status.st_size <= 0) {
		return false;
	}
	image = sqlite3_malloc64((sqlite3_uint64)status.st_size);
	if (!image || !read_all(fd, image, (size_t)status.st_size)) {
		sqlite3_free(image);
		return false;
	}
	/* SQLite frees the image, also where it fails. */
	return sqlite3_deserialize(db, "main", image, status.st_size, status.st_size,
				   SQLITE_DESERIALIZE_FREEONCLOSE |
					   SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK;
}
