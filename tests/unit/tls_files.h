/*
 * A small PKI in a directory of its own, made with OpenSSL for one test program: a CA,
 * an intermediate, and leaves signed by it.
 */
#ifndef TESTS_UNIT_TLS_FILES_H
#define TESTS_UNIT_TLS_FILES_H

struct tls_files {
	char directory[64];
};

void tls_files_make(struct tls_files *files);
void tls_files_remove(struct tls_files *files);

/*
 * Path of one, static until the call after the next three: "ca.pem", "<leaf>.pem" (chain)
 * and "<leaf>.key" for the leaves host (host.example), other (other.example,
 * *.wild.example), address (127.0.0.1), expired (host.example).
 */
const char *tls_files_path(const struct tls_files *files, const char *name);

#endif
