#pragma once
/// The one place that knows about terminals. stdout is the answer, stderr is talk.

#include "base/error.hpp"
#include "base/talk.hpp"
#include "cli/journal_log.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace blockhost::cli {

/// How stderr is: a terminal that can redraw a line, a terminal that cannot (TERM=dumb), or a pipe or file.
enum class Screen { live, plain, pipe };

/// Text from outside may be in all talk: control characters and bytes that are not UTF-8 appear as \xNN. A
/// stderr that cannot be written never fails anything. For one thread.
class Printer : public Talk {
  public:
    using Clock = std::chrono::steady_clock::time_point (*)();

    /// `prefix` stands before every line of talk ("[vm-create] "). `width` is that of a live screen in
    /// columns; 0: ask the terminal at each redraw. The streams stay the caller's.
    Printer(std::FILE* out, std::FILE* err, Screen screen, bool colour, std::string prefix, int width = 0,
            Clock clock = &std::chrono::steady_clock::now);
    /// For streams of this process: err's kind, NO_COLOR, TERM and COLUMNS looked at.
    static Printer for_streams(std::FILE* out, std::FILE* err, std::string_view prefix);
    static Printer for_process(std::string_view prefix) { return for_streams(stdout, stderr, prefix); }
    ~Printer() override;
    /// From now on talk goes to the journal with fields of ours, and to stderr only where the journal does
    /// not take it. Nothing (null) changes nothing.
    void log_to(std::unique_ptr<JournalLog> journal) { journal_ = std::move(journal); }
    /// Which VM all later talk is about.
    void about_vm(std::string_view name);
    Printer(const Printer&) = delete;
    Printer& operator=(const Printer&) = delete;

    // Talk, on stderr: on a live screen one line that is redrawn, with seconds since the stage began; else a
    // line each.
    void stage(std::string_view text) override;
    void detail(std::string_view text) override;
    /// For the journal alone, at the level of debugging: what nobody else wants to hear of.
    void trace(std::string_view text);
    /// A text of several lines keeps them, each with the prefix.
    void warn(std::string_view text) override;
    /// A line of talk as it is, without the prefix: the usage line.
    void say(std::string_view line);

    /// What another program wrote to its stderr, as it is.
    void pass_on(std::string_view bytes);

    /// The answer. A newline is added. answer() and flush_answer() throw Error{io} when stdout cannot take
    /// it.
    void answer(std::string_view line);
    void answer_raw(std::string_view bytes);
    void flush_answer();

    /// The end of a failed verb, last line on stderr: "<prefix>ERROR: message" and, when there is one, ";
    /// hint".
    void error(const Error& error);
    /// {"status": "error", "error": message, "code": name, "hint": hint, "retry": bool}, one line.
    static std::string error_json(const Error& error);

    Screen screen() const { return screen_; }
    /// What stdout is for a page: its width in columns, and whether it shows bold and underlined text.
    struct Sheet {
        std::size_t width;
        bool styled;
    };
    Sheet sheet() const;

  private:
    void put(const std::string& text);
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
    std::string stage_, detail_;
    std::chrono::steady_clock::time_point stage_began_{};
};

} // namespace blockhost::cli
