#include "proxy/rt/fiber.h"

#include "proxy/base/log.h"
#include "proxy/base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#ifndef __has_include
#define __has_include(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define HAVE_ASAN 1
#else
#define HAVE_ASAN 0
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define RUNNING_ON_VALGRIND 0
#endif

#define STACK_BYTES ((size_t)(HAVE_ASAN ? 512 : 128) * 1024)
#define PAGE_SMALLEST 4096
#define POOL_MAX 256
#define POOLED_BYTES ((size_t)32 * 1024) // of a pooled stack that stay resident

struct fiber {
	ucontext_t context;
	ucontext_t *resumer; // on the stack of who resumed it
	void (*fn)(void *);
	void *argument;
	char *map; // guard page, then STACK_BYTES
	unsigned valgrind_id;
	struct fiber *next;         // in the pool
	const void *resumer_bottom; // what the address sanitizer wants to hear
	size_t resumer_size;
	void *fake_stack;
};

static struct fiber *pool; // fibers that have ended, by next
static size_t pool_count;
static size_t high_water;
static struct fiber *entering;

static size_t page_bytes(void)
{
	static size_t bytes;
	if (bytes == 0) {
		bytes = (size_t)sysconf(_SC_PAGESIZE);
	}
	return bytes;
}

static char *stack_bottom(const struct fiber *fiber)
{
	return fiber->map + page_bytes();
}

/* Both sides of a switch. fake_stack is NULL where a fiber leaves for good. */
#if HAVE_ASAN
static void leave(void **fake_stack, const void *bottom, size_t size)
{
	__sanitizer_start_switch_fiber(fake_stack, bottom, size);
}

static void arrive(void *fake_stack, const void **bottom, size_t *size)
{
	__sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}

static void stack_unpoison(const struct fiber *fiber)
{
	ASAN_UNPOISON_MEMORY_REGION(stack_bottom(fiber), STACK_BYTES);
}
#else
static void leave(void **fake_stack, const void *bottom, size_t size)
{
	(void)fake_stack;
	(void)bottom;
	(void)size;
}

static void arrive(void *fake_stack, const void **bottom, size_t *size)
{
	(void)fake_stack;
	(void)bottom;
	(void)size;
}

static void stack_unpoison(const struct fiber *fiber)
{
	(void)fiber;
}
#endif

static void enter(void)
{
	struct fiber *fiber = entering;
	arrive(NULL, &fiber->resumer_bottom, &fiber->resumer_size);
	fiber->fn(fiber->argument);
	leave(NULL, fiber->resumer_bottom, fiber->resumer_size);
	setcontext(fiber->resumer);
	abort();
}

static struct fiber *fiber_map(void)
{
	struct fiber *fiber = memory_new(sizeof(*fiber));
	fiber->map = mmap(NULL, page_bytes() + STACK_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (fiber->map == MAP_FAILED ||
	    mprotect(fiber->map, page_bytes(), PROT_NONE) != 0) {
		log_say(LOG_ERROR, "out of memory", "no room for one more stack");
		abort();
	}
	fiber->valgrind_id = VALGRIND_STACK_REGISTER(stack_bottom(fiber),
						     stack_bottom(fiber) + STACK_BYTES);
	return fiber;
}

static void fiber_unmap(struct fiber *fiber)
{
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
	munmap(fiber->map, page_bytes() + STACK_BYTES);
	free(fiber);
}

static struct fiber *pool_take(void)
{
	struct fiber *fiber = pool;
	if (fiber) {
		pool = fiber->next;
		pool_count--;
	}
	return fiber;
}

/* Kept apart: getcontext() returns twice in the eyes of the compiler. */
static __attribute__((noinline)) void prepare(struct fiber *fiber)
{
	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = stack_bottom(fiber);
	fiber->context.uc_stack.ss_size = STACK_BYTES;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, enter, 0);
}

struct fiber *fiber_new(void (*fn)(void *), void *argument)
{
	struct fiber *fiber = pool_take();
	if (!fiber) {
		fiber = fiber_map();
	}
	stack_unpoison(fiber);
	fiber->fn = fn;
	fiber->argument = argument;
	fiber->fake_stack = NULL;
	prepare(fiber);
	return fiber;
}

/* On the loop's stack, which is not a fiber's: there is room for a context, of 4.5 KiB on
 * arm64. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
void fiber_resume(struct fiber *fiber)
{
	ucontext_t resumer;
	void *fake_stack = NULL;
	fiber->resumer = &resumer;
	entering = fiber;
	leave(&fake_stack, stack_bottom(fiber), STACK_BYTES);
	swapcontext(&resumer, &fiber->context);
	arrive(fake_stack, NULL, NULL);
}
#pragma GCC diagnostic pop

void fiber_suspend(struct fiber *fiber)
{
	leave(&fiber->fake_stack, fiber->resumer_bottom, fiber->resumer_size);
	swapcontext(&fiber->context, fiber->resumer);
	arrive(fiber->fake_stack, &fiber->resumer_bottom, &fiber->resumer_size);
}

/* Fresh pages are zero, so the lowest octet that is not tells the depth (to an octet or
 * so). */
static void measure(const struct fiber *fiber)
{
	unsigned char resident[(512 * 1024) / PAGE_SMALLEST];
	const char *bottom = stack_bottom(fiber);
	size_t page = page_bytes();
	if (HAVE_ASAN || RUNNING_ON_VALGRIND || // they take it for reading what is dead
	    mincore(stack_bottom(fiber), STACK_BYTES, resident) != 0) {
		return;
	}
	for (size_t at = 0; at < STACK_BYTES - high_water; at++) {
		if (!(resident[at / page] & 1)) {
			at += page - 1;
		} else if (bottom[at] != 0) {
			high_water = STACK_BYTES - at;
		}
	}
}

/* Gives back whole pages of the stack below limit. */
static void give_back(const struct fiber *fiber, const char *limit)
{
	size_t bytes =
		(size_t)(limit - stack_bottom(fiber)) / page_bytes() * page_bytes();
	if (!HAVE_ASAN && bytes > 0) {
		madvise(stack_bottom(fiber), bytes, MADV_DONTNEED);
	}
}

void fiber_trim(struct fiber *fiber)
{
	measure(fiber);
	/* This frame and what madvise() itself needs stay. */
	give_back(fiber, (const char *)__builtin_frame_address(0) - 512);
}

void fiber_free(struct fiber *fiber)
{
	measure(fiber);
	if (pool_count >= POOL_MAX) {
		fiber_unmap(fiber);
		return;
	}
	give_back(fiber, stack_bottom(fiber) + STACK_BYTES - POOLED_BYTES);
	fiber->next = pool;
	pool = fiber;
	pool_count++;
}

size_t fiber_high_water(void)
{
	return high_water;
}

void fiber_pool_free(void)
{
	struct fiber *fiber;
	while ((fiber = pool_take())) {
		fiber_unmap(fiber);
	}
}
