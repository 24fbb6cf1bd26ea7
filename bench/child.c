/*
 * The child of every supervisor under test. Usage: child PLAIN, or child FLOOD GO DONE ROUNDS.
 * It first writes "up PID NS", NS being CLOCK_MONOTONIC, which is the clock of process.hrtime too: so the moment
 * of the first line is exact, whoever carries the line to the file, and nobody has to poll tightly for it.
 * "plain" then waits for ever. "flood" waits until the file GO.n exists, writes 256 MiB of 128-byte lines in
 * writes of 64 KiB, leaves the nanoseconds that took in DONE.n, and goes on with n + 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536
#define LINE 128
#define BLOCKS 4096

static long long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void write_all(const char *from, size_t size) {
  while (size > 0) {
    ssize_t written = write(1, from, size);
    if (written <= 0) exit(1);
    from += written;
    size -= (size_t)written;
  }
}

static void flood(const char *go, const char *done, int round) {
  static char block[BLOCK];
  char path[4096];
  memset(block, 'x', BLOCK);
  for (int end = LINE; end <= BLOCK; end += LINE) block[end - 1] = '\n';
  snprintf(path, sizeof path, "%s.%d", go, round);
  while (access(path, F_OK) != 0) usleep(5000);
  long long begun = now();
  for (int i = 0; i < BLOCKS; i++) write_all(block, BLOCK);
  long long took = now() - begun;
  snprintf(path, sizeof path, "%s.%d", done, round);
  FILE *file = fopen(path, "w");
  if (!file) exit(1);
  fprintf(file, "%lld\n", took);
  fclose(file);
}

int main(int argc, char **argv) {
  char line[80];
  int size = snprintf(line, sizeof line, "up %d %lld\n", (int)getpid(), now());
  write_all(line, (size_t)size);
  if (argc == 5 && strcmp(argv[1], "flood") == 0)
    for (int round = 0; round < atoi(argv[4]); round++) flood(argv[2], argv[3], round);
  for (;;) pause();
}
