// SPDX-License-Identifier: MIT
// Turns the words of a command line into an exit status.
#include "cli/dispatch.hpp"

#include "base/error.hpp"
#include "base/exceptions.hpp"
#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "cli/command.hpp"
#include "cli/describe.hpp"
#include "cli/help.hpp"
#include "cli/printer.hpp"
#include "hypervisor/rpc/driver.hpp"
#include "model/names.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <vector>

namespace blockhost::cli {

namespace {

using Words = std::span<const std::string>;

/// A row, the name it was called by, and the words behind that name.
struct Command {
    const Row& row;
    std::string called_as;
    Words words;
};

Paths paths_for(bool mock) {
    Paths real = paths_from_environment();
    if (!mock) return real;
    std::error_code failure;
    auto folder = std::filesystem::current_path(failure);
    if (failure) throw errno_error("cannot find", "the current folder", failure.value());
    return mock_paths(real, folder);
}

int exit_status(const Row& row, const Error& error) {
    if (error.code() == Code::usage) return row.usage_status;
    if (error.code() == Code::interrupted && noted_signal() != 0) return 128 + noted_signal();
    return row.exit == Row::Exit::contract ? 1 : row_of(error.code()).exit_status;
}

/// Whether a failure is a JSON document too. The parser may have refused the words, so the words themselves
/// are looked at.
bool wants_json(const Command& command) {
    bool offered = std::ranges::any_of(command.row.options, [](const Option& o) { return o.name == "json"; });
    return offered && asks_for(command.row, command.words, "json");
}

void report(const Command& command, Printer& printer, const Error& error) {
    if (error.code() == Code::usage) printer.say_bare(usage_line(command.row, command.called_as));
    printer.error(error);
}

/// Ends a failed verb. A further failure (nobody reads stdout) changes nothing any more.
int fail(const Command& command, Printer& printer, const Error& error) {
    int status = exit_status(command.row, error);
    try {
        if (wants_json(command)) printer.answer(Printer::error_json(error));
        if (command.row.answer_failure && error.code() != Code::usage)
            command.row.answer_failure(printer, error);
        printer.flush_answer();
    } catch (const std::exception&) {
        if (status == 0) status = 1;
    }
    report(command, printer, error);
    return status;
}

/// Ends a call that was refused before its verb ran.
int refuse(const Command& command, Printer& printer, const Error& error) {
    if (!command.row.on_usage_error) return fail(command, printer, error);
    report(command, printer, error);
    int status = command.row.on_usage_error(printer, command.words);
    printer.flush_answer();
    return status;
}

/// The journal, when stderr leads to it.
std::unique_ptr<JournalLog> journal_of(const Command& command, std::FILE* err) {
    const bool by_link = row_of_contract_name(command.called_as) != nullptr;
    auto journal = JournalLog::behind(::fileno(err), by_link ? command.called_as : std::string(program_name));
    if (journal) journal->set("BLOCKHOST_VERB", std::string(command.row.verb));
    return journal;
}

void name_vm(const Row& row, const Arguments& arguments, Printer& printer) {
    if (row.operands.empty() || row.operands[0].name != "NAME" || arguments.operands().empty()) return;
    if (VmName::try_parse(arguments.operands()[0])) printer.about_vm(arguments.operands()[0]);
}

int run_row(const Command& command, Printer& printer) {
    Arguments arguments;
    Paths paths;
    try {
        arguments = parse(command.row, command.words);
        name_vm(command.row, arguments, printer);
        if (!arguments.has("help")) paths = paths_for(arguments.has("mock"));
    } catch (const Error& error) {
        return refuse(command, printer, error);
    }
    int status = 0;
    if (arguments.has("help")) {
        printer.answer_raw(verb_help(command.row, command.called_as));
    } else {
        Call call{arguments, std::move(paths), arguments.has("mock"), printer};
        status = command.row.run(call);
    }
    printer.flush_answer();
    return status;
}

int run_to_its_end(const Command& command, Printer& printer) {
    try {
        return run_row(command, printer);
    } catch (const Error& error) {
        return fail(command, printer, error);
    } catch (const std::exception& error) {
        return fail(command, printer, as_error(error));
    }
}

int run_command(const Command& command, std::FILE* out, std::FILE* err) {
    Printer printer = Printer::for_streams(out, err, command.row.talk_prefix);
    printer.log_to(journal_of(command, err));
    printer.mean_unheard(command.row.output.unheard);
    const int status = run_to_its_end(command, printer);
    if (const auto fallbacks = rpc_fallbacks(); fallbacks.count > 0)
        printer.trace("libvirt's library was asked instead of its protocol, " +
                      std::to_string(fallbacks.count) + " time(s); last since " + fallbacks.last_reason);
    return status;
}

Error unknown_verb(const std::string& word) {
    std::vector<std::string_view> verbs;
    for (const Row* row : shown_rows()) verbs.push_back(row->verb);
    auto near = text::nearest(word, verbs);
    std::string hint = near ? "did you mean " + std::string(*near) + "?"
                            : "'" + std::string(program_name) + " --help' lists the verbs";
    return Error(Code::usage, "unknown verb '" + text::printable(word) + "'", hint);
}

/// Runs a call without a contract name and without a known verb.
int run_without_row(Words words, std::FILE* out, std::FILE* err) {
    Printer printer = Printer::for_streams(out, err, "");
    try {
        if (words.empty()) {
            throw Error(Code::usage, "a verb is missing",
                        "'" + std::string(program_name) + " --help' lists them");
        }
        if (words[0] == "--help" || words[0] == "-h") {
            printer.answer_raw(overview());
        } else if (words[0] == "--version") {
            printer.answer(std::string(program_name) + " " + std::string(version()));
        } else if (words[0].starts_with('-')) {
            throw Error(Code::usage, "unknown option " + text::printable(words[0]),
                        "options go behind the verb");
        } else {
            throw unknown_verb(words[0]);
        }
        printer.flush_answer();
        return 0;
    } catch (const std::exception& thrown) {
        const Error error = as_error(thrown);
        if (error.code() == Code::usage)
            printer.say_bare("Usage: " + std::string(program_name) + " <verb> [operands] [options]");
        printer.error(error);
        return row_of(error.code()).exit_status;
    }
}

/// Makes sure that no file opened later becomes stdin, stdout or stderr. Writing to a closed stdout still
/// fails.
void open_standard_descriptors() {
    for (int fd : {0, 1, 2}) {
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) // open takes the lowest free number: this one
            (void)!::open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
    }
}

} // namespace

int run_command_line(Words words, std::FILE* out, std::FILE* err) {
    std::string_view called = words.empty() ? std::string_view() : std::string_view(words[0]);
    called.remove_prefix(called.rfind('/') + 1);
    Words rest = words.empty() ? words : words.subspan(1);
    if (const Row* row = row_of_contract_name(called))
        return run_command({*row, std::string(called), rest}, out, err);
    if (rest.empty()) return run_without_row(rest, out, err);
    const Row* row = row_of_verb(rest[0]);
    if (!row) return run_without_row(rest, out, err);
    std::string name = std::string(program_name) + " " + std::string(row->verb);
    return run_command({*row, std::move(name), rest.subspan(1)}, out, err);
}

void run_process(int argc, char** argv) {
    open_standard_descriptors();
    install_signal_notes();
    std::vector<std::string> words(argv, argv + argc);
    int status = run_command_line(words, stdout, stderr);
    std::quick_exit(status);
}

} // namespace blockhost::cli
