// A wall clock that a test sets, preloaded into an Envoy: it is ahead by as many seconds as the file
// named by BENT_CLOCK says (eight bytes, as this machine orders them), and follows when that changes.
// Other clocks are left alone. libfaketime would be the usual way; an Envoy does not start with it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void open_file(void) {
  const char *name = getenv("BENT_CLOCK");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  void *place = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (place == MAP_FAILED) {
    abort();
  }
  ahead_s = place;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME && ahead_s) {
    now->tv_sec += *ahead_s;
  }
  return result;
}
