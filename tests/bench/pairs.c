/* Times two programs in turns, A B A B, and prints median, least and most of each and of their ratio pair by
 * pair, as one JSON object.
 *
 * usage: pairs ROUNDS PROGRAM-A [ARGUMENT...] -- PROGRAM-B [ARGUMENT...]
 *
 * Wall time goes from before posix_spawn to after wait4, with stdin on /dev/null and the output thrown away;
 * CPU time and peak memory are the kernel's account of that child. A program that fails ends the measurement
 * with exit status 2. The ratio of neighbours, not of medians: this kind of host has slow and fast minutes.
 */
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
    char** words; /* program and arguments, null-terminated */
    double *wall_ms, *cpu_ms;
    long peak_kib;
};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double ms_of(struct timeval t) {
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec * 1e-3;
}

static void run(struct contender* contender, size_t round, posix_spawn_file_actions_t* quiet) {
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
        fprintf(stderr, "pairs: %s failed (wait status %d)\n", contender->words[0], status);
        exit(2);
    }
    contender->wall_ms[round] = now_ms() - began;
    contender->cpu_ms[round] = ms_of(usage.ru_utime) + ms_of(usage.ru_stime);
    if (usage.ru_maxrss > contender->peak_kib) contender->peak_kib = usage.ru_maxrss;
}

static int by_size(const void* left, const void* right) {
    double a = *(const double*)left, b = *(const double*)right;
    return (a > b) - (a < b);
}

static void print_values(const char* name, double* values, size_t count) {
    qsort(values, count, sizeof *values, by_size);
    double median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    printf("\"%s\": [%.4f, %.4f, %.4f]", name, median, values[0], values[count - 1]);
}

static void print_contender(const char* name, struct contender* contender, size_t rounds) {
    printf("\"%s\": {", name);
    print_values("wall_ms", contender->wall_ms, rounds);
    printf(", ");
    print_values("cpu_ms", contender->cpu_ms, rounds);
    printf(", \"peak_kib\": %ld}, ", contender->peak_kib);
}

static struct contender contender_of(char** words, size_t rounds) {
    struct contender made = {words, calloc(rounds, sizeof(double)), calloc(rounds, sizeof(double)), 0};
    if (!made.wall_ms || !made.cpu_ms) exit(2);
    return made;
}

int main(int count, char** word) {
    int separator = 2;
    while (separator < count && strcmp(word[separator], "--") != 0) ++separator;
    size_t rounds = count > 1 ? strtoul(word[1], NULL, 10) : 0;
    if (separator < 3 || separator + 1 >= count || rounds < warm_up) {
        fputs(
            "usage: pairs ROUNDS PROGRAM-A [ARGUMENT...] -- PROGRAM-B [ARGUMENT...]   (5 ROUNDS at least)\n",
            stderr);
        return 2;
    }
    word[separator] = NULL;
    struct contender a = contender_of(word + 2, rounds), b = contender_of(word + separator + 1, rounds);
    double *wall = calloc(rounds, sizeof(double)), *cpu = calloc(rounds, sizeof(double));
    posix_spawn_file_actions_t quiet;
    if (!wall || !cpu || posix_spawn_file_actions_init(&quiet) != 0) return 2;
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);

    for (size_t i = 0; i < warm_up; ++i) {
        run(&a, i, &quiet);
        run(&b, i, &quiet);
    }
    for (size_t i = 0; i < rounds; ++i) {
        run(&a, i, &quiet);
        run(&b, i, &quiet);
        wall[i] = a.wall_ms[i] / b.wall_ms[i];
        cpu[i] = b.cpu_ms[i] > 0 ? a.cpu_ms[i] / b.cpu_ms[i] : 0;
    }
    printf("{\"rounds\": %zu, ", rounds);
    print_contender("a", &a, rounds);
    print_contender("b", &b, rounds);
    printf("\"ratio\": {");
    print_values("wall", wall, rounds);
    printf(", ");
    print_values("cpu", cpu, rounds);
    printf("}}\n");
    return 0;
}
