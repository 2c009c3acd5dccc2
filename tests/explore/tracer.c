/* Runs a program and interferes with one of its system calls: what a failing disk, a full one, a killed
 * process or a host without power do, at every point that there is.
 *
 *   tracer --under DIR [--but NAME]... --log FILE [--at N --do before|after|held|pause|kill [--meanwhile
 * COMMAND]]
 *          [--shadow DIR] -- PROGRAM ARGUMENT...
 *
 * A point is a call that looks at or changes files below DIR, though not below DIR/NAME, speaks to a socket,
 * or starts a program. Points are numbered from 1 in the order they are begun, whichever thread begins them;
 * each is a line of FILE: number, kind (look, change, sync, lock, socket, process), call, and what it is
 * about, relative to DIR.
 *
 *   before  the call is not carried out and fails (ENOSPC for what needs room, else EIO)
 *   after   it is carried out, and fails all the same
 *   held    it is a lock that somebody else holds and never gives back
 *   pause   the program stands still before it, while a shell runs COMMAND, and goes on then
 *   kill    the program stands still before it, while a shell runs COMMAND, and is killed then
 *
 * With --shadow what is synced is kept as the program goes: a file's content, a folder's names. What a disk
 * would hold that lost everything else can be made of that and of what was there before. Exit status: the
 * program's; 128 + signal when it was killed; 125 for our own trouble. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { NONE, LOOK, CHANGE, SYNC, LOCK, SOCKET, PROCESS };
static const char* const kind_names[] = {"", "look", "change", "sync", "lock", "socket", "process"};
enum action { NOTHING, BEFORE, AFTER, HELD, PAUSE, KILL };

static const char* const action_names[] = {"", "before", "after", "held", "pause", "kill"};

/* Where a call names its file: by a path argument (and the folder's descriptor before it), or by a
 * descriptor. */
struct call {
    long number;
    const char* name;
    enum kind kind;
    int path;   /* index of the path argument; -1: none */
    int folder; /* index of the descriptor that the path is relative to, or of the file's own descriptor; -1:
                   none */
};

static const struct call calls[] = {
    {SYS_open, "open", LOOK, 0, -1},
    {SYS_openat, "openat", LOOK, 1, 0},
    {SYS_openat2, "openat2", LOOK, 1, 0},
    {SYS_stat, "stat", LOOK, 0, -1},
    {SYS_lstat, "lstat", LOOK, 0, -1},
    {SYS_newfstatat, "newfstatat", LOOK, 1, 0},
    {SYS_statx, "statx", LOOK, 1, 0},
    {SYS_access, "access", LOOK, 0, -1},
    {SYS_faccessat, "faccessat", LOOK, 1, 0},
    {SYS_faccessat2, "faccessat2", LOOK, 1, 0},
    {SYS_readlink, "readlink", LOOK, 0, -1},
    {SYS_readlinkat, "readlinkat", LOOK, 1, 0},
    {SYS_statfs, "statfs", LOOK, 0, -1},
    {SYS_fstatfs, "fstatfs", LOOK, -1, 0},
    {SYS_getdents64, "getdents64", LOOK, -1, 0},
    {SYS_read, "read", LOOK, -1, 0},
    {SYS_pread64, "pread64", LOOK, -1, 0},
    {SYS_write, "write", CHANGE, -1, 0},
    {SYS_pwrite64, "pwrite64", CHANGE, -1, 0},
    {SYS_writev, "writev", CHANGE, -1, 0},
    {SYS_copy_file_range, "copy_file_range", CHANGE, -1, 2},
    {SYS_sendfile, "sendfile", CHANGE, -1, 0},
    {SYS_ftruncate, "ftruncate", CHANGE, -1, 0},
    {SYS_fallocate, "fallocate", CHANGE, -1, 0},
    {SYS_fchmod, "fchmod", CHANGE, -1, 0},
    {SYS_fchown, "fchown", CHANGE, -1, 0},
    {SYS_rename, "rename", CHANGE, 1, -1},
    {SYS_renameat, "renameat", CHANGE, 3, 2},
    {SYS_renameat2, "renameat2", CHANGE, 3, 2},
    {SYS_unlink, "unlink", CHANGE, 0, -1},
    {SYS_unlinkat, "unlinkat", CHANGE, 1, 0},
    {SYS_rmdir, "rmdir", CHANGE, 0, -1},
    {SYS_mkdir, "mkdir", CHANGE, 0, -1},
    {SYS_mkdirat, "mkdirat", CHANGE, 1, 0},
    {SYS_symlink, "symlink", CHANGE, 1, -1},
    {SYS_symlinkat, "symlinkat", CHANGE, 2, 1},
    {SYS_link, "link", CHANGE, 1, -1},
    {SYS_linkat, "linkat", CHANGE, 3, 2},
    {SYS_chmod, "chmod", CHANGE, 0, -1},
    {SYS_fchmodat, "fchmodat", CHANGE, 1, 0},
    {SYS_fchownat, "fchownat", CHANGE, 1, 0},
    {SYS_utimensat, "utimensat", CHANGE, 1, 0},
    {SYS_fsync, "fsync", SYNC, -1, 0},
    {SYS_fdatasync, "fdatasync", SYNC, -1, 0},
    {SYS_flock, "flock", LOCK, -1, 0},
    {SYS_socket, "socket", SOCKET, -1, -1},
    {SYS_connect, "connect", SOCKET, -1, -1},
    {SYS_sendto, "sendto", SOCKET, -1, -1},
    {SYS_sendmsg, "sendmsg", SOCKET, -1, -1},
    {SYS_recvfrom, "recvfrom", SOCKET, -1, -1},
    {SYS_recvmsg, "recvmsg", SOCKET, -1, -1},
    {SYS_fork, "fork", PROCESS, -1, -1},
    {SYS_vfork, "vfork", PROCESS, -1, -1},
    {SYS_execve, "execve", PROCESS, -1, -1},
    {SYS_clone, "clone", PROCESS, -1, -1},
    {SYS_clone3, "clone3", PROCESS, -1, -1},
};

static char under[PATH_MAX], shadow[PATH_MAX];
static const char* others[32]; /* below DIR, but not ours */
static size_t other_count;
static FILE* log_file;
static long target;
static enum action wanted;
static const char* meanwhile;
static char held_lock[PATH_MAX];
static long points;

static void die(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "tracer: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", strerror(errno));
    va_end(arguments);
    exit(125);
}

/* What one thread is doing between the entry and the exit of a call. */
struct thread {
    pid_t id;
    bool skipped; /* it was not carried out */
    long result;  /* to be reported instead, when `replaced` */
    bool replaced;
    const struct call* call; /* of our points; null: another */
    char what[PATH_MAX];
};
static struct thread threads[64];

static struct thread* thread_of(pid_t id) {
    struct thread* spare = NULL;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; ++i) {
        if (threads[i].id == id) return &threads[i];
        if (threads[i].id == 0 && !spare) spare = &threads[i];
    }
    if (!spare) die("more threads than are provided for");
    memset(spare, 0, sizeof *spare);
    spare->id = id;
    return spare;
}

static const struct call* call_of(long number) {
    for (size_t i = 0; i < sizeof calls / sizeof *calls; ++i)
        if (calls[i].number == number) return &calls[i];
    return NULL;
}

static unsigned long argument(const struct user_regs_struct* r, int index) {
    const unsigned long all[] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    return all[index];
}

/* The string at `address` of the tracee; empty when it cannot be read. */
static void read_text(pid_t id, unsigned long address, char* text, size_t size) {
    size_t have = 0;
    text[0] = 0;
    while (have + 1 < size) {
        const size_t step = 256 - (address + have) % 256;
        struct iovec here = {text + have, step < size - 1 - have ? step : size - 1 - have};
        struct iovec there = {(void*)(address + have), here.iov_len};
        const ssize_t got = process_vm_readv(id, &here, 1, &there, 1, 0);
        if (got <= 0) break;
        text[have + (size_t)got] = 0;
        if (strlen(text + have) < (size_t)got) return;
        have += (size_t)got;
    }
    text[have] = 0;
}

static void path_of_descriptor(pid_t id, int fd, char* path) {
    char link[64];
    if (fd == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/%d/cwd", id);
    else
        snprintf(link, sizeof link, "/proc/%d/fd/%d", id, fd);
    const ssize_t size = readlink(link, path, PATH_MAX - 1);
    path[size > 0 ? size : 0] = 0;
}

/* Whether the call is about something below DIR; `what` becomes that, relative. */
static bool is_below(pid_t id, const struct user_regs_struct* r, const struct call* call, char* what) {
    char path[2 * PATH_MAX + 2] = "", name[PATH_MAX] = "";
    if (call->path >= 0) read_text(id, argument(r, call->path), name, sizeof name);
    if (name[0] == '/')
        snprintf(path, sizeof path, "%s", name);
    else {
        path_of_descriptor(id, call->folder >= 0 ? (int)argument(r, call->folder) : AT_FDCWD, path);
        if (call->path >= 0 && name[0]) {
            const size_t size = strlen(path);
            snprintf(path + size, sizeof path - size, "/%s", name);
        }
    }
    const size_t size = strlen(under);
    if (strncmp(path, under, size) != 0 || (path[size] != '/' && path[size] != 0)) return false;
    snprintf(what, PATH_MAX, "%.4000s", path + size + (path[size] == '/'));
    for (size_t i = 0; i < other_count; ++i) {
        const size_t length = strlen(others[i]);
        if (!strncmp(what, others[i], length) && (what[length] == '/' || what[length] == 0)) return false;
    }
    return true;
}

static bool makes(pid_t id, const struct user_regs_struct* r, const struct call* call) {
    if (call->number == SYS_open) return argument(r, 1) & (O_CREAT | O_TRUNC);
    if (call->number == SYS_openat) return argument(r, 2) & (O_CREAT | O_TRUNC);
    if (call->number != SYS_openat2) return false;
    struct open_how how = {0};
    struct iovec here = {&how, sizeof how}, there = {(void*)argument(r, 2), sizeof how};
    return process_vm_readv(id, &here, 1, &there, 1, 0) > 0 && (how.flags & (O_CREAT | O_TRUNC));
}

/* What is synced: SHADOW/inodes/NUMBER is a file's content, SHADOW/folders/N a folder's names at its N-th
 * sync, whose first line is the folder, and each other "inode, mode, name, target of a link". */

static void keep_content(const char* from, const struct stat* of) {
    char to[PATH_MAX], part[65536];
    ssize_t got;
    snprintf(to, sizeof to, "%.3000s/inodes/%lu", shadow, (unsigned long)of->st_ino);
    const int in = open(from, O_RDONLY | O_NOFOLLOW), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0) die("cannot keep %s", from);
    while ((got = read(in, part, sizeof part)) > 0)
        if (write(out, part, (size_t)got) != got) die("cannot write %s", to);
    if (ftruncate(out, of->st_size) != 0) die("cannot finish %s", to);
    close(in);
    close(out);
}

static void keep_names(const char* from, const char* what) {
    static int number;
    char to[PATH_MAX], leads_to[PATH_MAX];
    snprintf(to, sizeof to, "%.3000s/folders/%08d", shadow, ++number);
    DIR* folder = opendir(from);
    FILE* out = fopen(to, "w");
    if (!folder || !out) die("cannot keep the names in %s", from);
    fprintf(out, "%s\n", what);
    for (struct dirent* entry; (entry = readdir(folder));) {
        struct stat seen;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (fstatat(dirfd(folder), entry->d_name, &seen, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const ssize_t size = S_ISLNK(seen.st_mode)
                                 ? readlinkat(dirfd(folder), entry->d_name, leads_to, sizeof leads_to - 1)
                                 : 0;
        leads_to[size > 0 ? size : 0] = 0;
        fprintf(out, "%lu\t%o\t%s\t%s\n", (unsigned long)seen.st_ino, seen.st_mode, entry->d_name, leads_to);
    }
    fclose(out);
    closedir(folder);
}

/* A file that has no name any more is gone with the power. */
static void note_sync(const char* what) {
    char path[PATH_MAX];
    struct stat seen;
    snprintf(path, sizeof path, "%.2000s/%.2000s", under, what);
    if (lstat(path, &seen) != 0) return;
    if (S_ISDIR(seen.st_mode)) keep_names(path, what);
    if (S_ISREG(seen.st_mode)) keep_content(path, &seen);
}

/* Calls */

static long failure_of(const struct call* call, bool making) {
    if (call->kind == CHANGE || making) return -ENOSPC;
    if (call->kind == LOCK) return -ENOLCK;
    if (call->kind == SOCKET) return -ECONNRESET;
    if (call->kind == PROCESS) return -EAGAIN;
    return -EIO;
}

static void kill_all(void) {
    for (size_t i = 0; i < sizeof threads / sizeof *threads; ++i)
        if (threads[i].id) kill(threads[i].id, SIGKILL);
}

static void enter(struct thread* thread, struct user_regs_struct* r) {
    const struct call* call = call_of((long)r->orig_rax);
    thread->call = NULL;
    thread->replaced = thread->skipped = false;
    if (!call) return;
    snprintf(thread->what, sizeof thread->what, "-");
    const bool about_files = call->kind != SOCKET && call->kind != PROCESS;
    if (about_files && !is_below(thread->id, r, call, thread->what)) return;
    const bool making = makes(thread->id, r, call);
    thread->call = call;
    ++points;
    fprintf(log_file, "%ld\t%s\t%s\t%s\n", points, making ? "change" : kind_names[call->kind], call->name,
            thread->what);
    if (wanted == HELD && points == target) snprintf(held_lock, sizeof held_lock, "%s", thread->what);
    const bool is_held = held_lock[0] && call->kind == LOCK && !strcmp(held_lock, thread->what);
    if (points != target && !is_held) return;
    if (wanted == PAUSE || wanted == KILL) {
        if (meanwhile && system(meanwhile) != 0) die("the command meanwhile failed");
        if (wanted == KILL) kill_all();
        return;
    }
    if (call->kind == PROCESS && wanted != BEFORE) return; /* a thread that began cannot be taken back */
    thread->replaced = true;
    thread->result = is_held ? -EWOULDBLOCK : failure_of(call, making);
    if (wanted == AFTER) return;
    thread->skipped = true;
    r->orig_rax = (unsigned long)-1;
    if (ptrace(PTRACE_SETREGS, thread->id, 0, r) != 0) die("cannot set registers");
}

static void leave(struct thread* thread, struct user_regs_struct* r) {
    if (thread->call && thread->call->kind == SYNC && !thread->skipped && (long)r->rax == 0 && shadow[0])
        note_sync(thread->what);
    if (!thread->replaced) return;
    r->rax = (unsigned long)thread->result;
    if (ptrace(PTRACE_SETREGS, thread->id, 0, r) != 0) die("cannot set registers");
}

static int trace(pid_t program) {
    int result = 125;
    for (;;) {
        int status;
        const pid_t id = waitpid(-1, &status, __WALL);
        if (id < 0 && errno == EINTR) continue;
        if (id < 0) return result;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            thread_of(id)->id = 0;
            if (id == program) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int deliver = 0;
        const int stop = WSTOPSIG(status);
        struct thread* thread = thread_of(id);
        if (stop == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GETREGS, id, 0, &registers) != 0) continue;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof info, &info) <= 0) continue;
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) enter(thread, &registers);
            if (info.op == PTRACE_SYSCALL_INFO_EXIT) leave(thread, &registers);
        } else if (status >> 16 == 0 && stop != SIGSTOP && stop != SIGTRAP) {
            deliver = stop;
        }
        ptrace(PTRACE_SYSCALL, id, 0, deliver);
    }
}

int main(int argc, char** argv) {
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (!strcmp(argv[i], "--under") && !realpath(argv[i + 1], under)) die("%s", argv[i + 1]);
        if (!strcmp(argv[i], "--shadow") && !realpath(argv[i + 1], shadow)) die("%s", argv[i + 1]);
        if (!strcmp(argv[i], "--log") && !(log_file = fopen(argv[i + 1], "w"))) die("%s", argv[i + 1]);
        if (!strcmp(argv[i], "--but") && other_count < sizeof others / sizeof *others)
            others[other_count++] = argv[i + 1];
        if (!strcmp(argv[i], "--at")) target = atol(argv[i + 1]);
        if (!strcmp(argv[i], "--meanwhile")) meanwhile = argv[i + 1];
        if (!strcmp(argv[i], "--do"))
            for (enum action each = BEFORE; each <= KILL; ++each)
                if (!strcmp(argv[i + 1], action_names[each])) wanted = each;
    }
    if (++i >= argc || !log_file || !under[0]) die("--under DIR --log FILE … -- PROGRAM is needed");
    const pid_t program = fork();
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[i], argv + i);
        _exit(127);
    }
    int status;
    if (waitpid(program, &status, 0) != program || !WIFSTOPPED(status)) die("the program does not start");
    thread_of(program);
    if (ptrace(PTRACE_SETOPTIONS, program, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) != 0)
        die("cannot trace");
    ptrace(PTRACE_SYSCALL, program, 0, 0);
    const int result = trace(program);
    fclose(log_file);
    return result;
}
