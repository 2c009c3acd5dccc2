// SPDX-License-Identifier: MIT
#pragma once
/// The only code that knows about terminals. stdout carries the answer, stderr carries talk.

#include "base/error.hpp"
#include "base/progress.hpp"
#include "cli/journal_log.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace blockhost::cli {

/// How a line of an answer is coloured on a terminal that shows colours; elsewhere it is plain.
enum class Tone {
    plain,
    good,    ///< something comes, or is well
    warning, ///< something waits for a person
    bad,     ///< something is lost, or cannot be
    faint,   ///< beside the point
};

/// What stderr is: a terminal that can redraw a line, a terminal that cannot (TERM=dumb), or a pipe or file.
enum class Screen { live, plain, pipe };

/// Progress may contain text from outside: control characters and bytes that are not UTF-8 appear as \xNN. A
/// stderr that cannot be written makes nothing fail. For one thread.
class Printer : public Progress {
  public:
    using Clock = std::chrono::steady_clock::time_point (*)();

    /// `prefix` stands before every line of talk ("[vm-create] "). `width` is that of a live screen in
    /// columns; 0: ask the terminal at each redraw. The streams stay the caller's.
    Printer(std::FILE* out, std::FILE* err, Screen screen, bool colour, std::string prefix, int width = 0,
            Clock clock = &std::chrono::steady_clock::now);
    /// For streams of this process: looks at err's kind, NO_COLOR, TERM and COLUMNS.
    static Printer for_streams(std::FILE* out, std::FILE* err, std::string_view prefix);
    static Printer for_process(std::string_view prefix) { return for_streams(stdout, stderr, prefix); }
    ~Printer() override;
    /// From now on talk goes to the journal with fields, and to stderr only where the journal does not take
    /// it. Null changes nothing.
    void log_to(std::unique_ptr<JournalLog> journal) { journal_ = std::move(journal); }
    /// Names the VM that all later talk is about.
    void about_vm(std::string_view name);
    Printer(const Printer&) = delete;
    Printer& operator=(const Printer&) = delete;

    // Progress on stderr. A live screen has one line that is redrawn, with the seconds since the stage began;
    // elsewhere each stage is a line.
    void stage(std::string_view text) override;
    void detail(std::string_view text) override;
    /// Goes to the journal alone, at the level of debugging.
    void trace(std::string_view text);
    void say(std::string_view text) override;
    /// A text of several lines keeps them; each gets the prefix.
    void warn(std::string_view text) override;
    /// A line of talk without the prefix.
    void say_bare(std::string_view line);

    /// Asks a person, who answers "yes" and nothing else for true. Throws Error{usage} with that hint where
    /// stdin or stderr is no terminal; Error{interrupted} on a signal.
    bool confirm(std::string_view question, std::string hint);

    /// What another program wrote to its stderr, as it is.
    void pass_on(std::string_view bytes);

    /// Sets the hint of the failure when stdout cannot take the answer.
    void mean_unheard(std::string_view meaning) { unheard_ = meaning; }
    /// The answer; a newline is added. answer() and flush_answer() throw Error{io} when stdout cannot take
    /// it; what was not written by then never is.
    void answer(std::string_view line);
    void answer(std::string_view line, Tone tone);
    void answer_raw(std::string_view bytes);
    void flush_answer();

    /// The last line on stderr of a failed verb: "<prefix>ERROR: message", and "; hint" when there is one.
    void error(const Error& error);
    /// {"status": "error", "error": message, "code": name, "hint": hint, "retry": bool}, one line.
    static std::string error_json(const Error& error);

    Screen screen() const { return screen_; }
    /// What stdout offers a page: its width in columns, and whether it shows bold and underlined text.
    struct Sheet {
        std::size_t width;
        bool styled;
    };
    Sheet sheet() const;

  private:
    void put(const std::string& text);
    [[noreturn]] void fail_unheard(int error);
    bool logged(Priority priority, std::string_view text, JournalLog::Fields more = {});
    void put_marked(std::string_view mark, std::string_view colour, std::string_view text);
    void draw_live_line();
    void clear_live_line();
    std::size_t live_width() const;

    std::FILE *out_, *err_;
    Screen screen_;
    bool colour_;
    std::string prefix_;
    int width_;
    Clock clock_;
    bool live_line_ = false;
    std::unique_ptr<JournalLog> journal_ = {};
    std::string stage_, detail_, unheard_;
    std::chrono::steady_clock::time_point stage_began_{};
};

} // namespace blockhost::cli
