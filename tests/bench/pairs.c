/* Times two programs in turns, A B A B, and prints median, least and most of each and of their ratio pair by
 * pair.
 *
 * usage: pairs ROUNDS LIMIT NAME-A PROGRAM-A [ARGUMENT...] -- NAME-B PROGRAM-B [ARGUMENT...]
 *
 * A run's time goes from before posix_spawn to after wait4, with stdin and stdout on /dev/null. LIMIT bounds
 * the median ratio A/B: above it the exit status is 1; 0 is no limit. A program that fails ends the
 * measurement with exit status 2. The ratio of neighbours, not of medians: this kind of host has slow and
 * fast minutes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

enum { warm_up = 5 };

struct contender {
    const char* name;
    char** words; /* program and arguments, null-terminated */
    double* milliseconds;
};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double run_ms(const struct contender* contender, posix_spawn_file_actions_t* quiet) {
    pid_t child;
    int status;
    struct rusage usage;
    double began = now_ms();
    int failed = posix_spawn(&child, contender->words[0], quiet, NULL, contender->words, environ);
    if (failed) {
        fprintf(stderr, "pairs: cannot run %s: %s\n", contender->words[0], strerror(failed));
        exit(2);
    }
    if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "pairs: %s failed (wait status %d)\n", contender->name, status);
        exit(2);
    }
    return now_ms() - began;
}

static int by_size(const void* left, const void* right) {
    double a = *(const double*)left, b = *(const double*)right;
    return (a > b) - (a < b);
}

static double print_row(const char* name, double* values, size_t count, const char* unit) {
    qsort(values, count, sizeof *values, by_size);
    double median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    printf("  %-28s median %7.3f%s  min %7.3f%s  max %7.3f%s\n", name, median, unit, values[0], unit,
           values[count - 1], unit);
    return median;
}

int main(int count, char** word) {
    int separator = 4;
    while (separator < count && strcmp(word[separator], "--") != 0) ++separator;
    if (separator < 5 || separator + 2 >= count) {
        fputs("usage: pairs ROUNDS LIMIT NAME-A PROGRAM-A [ARGUMENT...] -- NAME-B PROGRAM-B [ARGUMENT...]\n",
              stderr);
        return 2;
    }
    size_t rounds = strtoul(word[1], NULL, 10);
    double limit = strtod(word[2], NULL);
    if (rounds == 0) return 2;
    word[separator] = NULL;
    struct contender a = {word[3], word + 4, calloc(rounds, sizeof(double))};
    struct contender b = {word[separator + 1], word + separator + 2, calloc(rounds, sizeof(double))};
    double* ratios = calloc(rounds, sizeof(double));
    posix_spawn_file_actions_t quiet;
    if (!a.milliseconds || !b.milliseconds || !ratios || posix_spawn_file_actions_init(&quiet) != 0) return 2;
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);

    for (int i = 0; i < warm_up; ++i) {
        run_ms(&a, &quiet);
        run_ms(&b, &quiet);
    }
    for (size_t i = 0; i < rounds; ++i) {
        a.milliseconds[i] = run_ms(&a, &quiet);
        b.milliseconds[i] = run_ms(&b, &quiet);
        ratios[i] = a.milliseconds[i] / b.milliseconds[i];
    }
    printf("%s against %s, %zu pairs\n", a.name, b.name, rounds);
    print_row(a.name, a.milliseconds, rounds, " ms");
    print_row(b.name, b.milliseconds, rounds, " ms");
    double ratio = print_row("ratio, pair by pair", ratios, rounds, "   ");
    if (limit > 0) printf("  at most %.2f wanted: %s\n", limit, ratio <= limit ? "kept" : "BROKEN");
    return limit > 0 && ratio > limit;
}
