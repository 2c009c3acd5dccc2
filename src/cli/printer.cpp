// SPDX-License-Identifier: MIT
// Answers on stdout, talk on stderr.
#include "cli/printer.hpp"

#include "base/field_error.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/layout.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdlib>
#include <stdio_ext.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace blockhost::cli {

namespace {

constexpr std::string_view erase_line = "\r\033[K";
constexpr std::string_view bold_red = "\033[1;31m", yellow = "\033[33m", no_colour = "\033[0m";

/// Longer than any message of the program, and short enough to keep a flood of outside text off the screen.
constexpr std::size_t longest_line = 4000;

std::string fit(std::string_view text) {
    return text::printable(text, longest_line);
}

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value && *value;
}

Screen screen_of(int fd) {
    if (fd < 0 || !::isatty(fd)) return Screen::pipe;
    const char* terminal = std::getenv("TERM");
    bool dumb = !terminal || !*terminal || std::string_view(terminal) == "dumb";
    return dumb ? Screen::plain : Screen::live;
}

int columns_from_environment() {
    const char* text = std::getenv("COLUMNS");
    auto number = text ? text::parse_int(text) : std::nullopt;
    return number && *number > 0 && *number < 10000 ? static_cast<int>(*number) : 0;
}

} // namespace

Printer::Printer(std::FILE* out, std::FILE* err, Screen screen, bool colour, std::string prefix, int width,
                 Clock clock)
    : out_(out), err_(err), screen_(screen), colour_(colour), prefix_(std::move(prefix)), width_(width),
      clock_(clock) {}

Printer Printer::for_streams(std::FILE* out, std::FILE* err, std::string_view prefix) {
    Screen screen = screen_of(::fileno(err));
    bool colour = screen == Screen::live && !is_set("NO_COLOR");
    return Printer(out, err, screen, colour, std::string(prefix), columns_from_environment());
}

Printer::~Printer() {
    clear_live_line();
}

void Printer::put(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), err_); // talk: perhaps nobody listens
    std::fflush(err_);
}

/// Whether the journal took the line. The line has no prefix there: the fields say the same.
bool Printer::logged(Priority priority, std::string_view text, JournalLog::Fields more) {
    if (!journal_) return false;
    more.emplace_back("BLOCKHOST_STAGE", stage_);
    return journal_->send(priority, fit(text), more);
}

void Printer::about_vm(std::string_view name) {
    if (journal_) journal_->set("BLOCKHOST_VM", std::string(name));
}

void Printer::stage(std::string_view text) {
    stage_ = fit(text);
    if (logged(Priority::notice, text)) return;
    if (screen_ != Screen::live) return put(prefix_ + stage_ + "\n");
    detail_.clear();
    stage_began_ = clock_();
    draw_live_line();
}

void Printer::detail(std::string_view text) {
    logged(Priority::debug, text);
    if (screen_ != Screen::live) return;
    detail_ = fit(text);
    draw_live_line();
}

void Printer::trace(std::string_view text) {
    logged(Priority::debug, text);
}

void Printer::draw_live_line() {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock_() - stage_began_).count();
    std::string clock = seconds > 0 ? " (" + std::to_string(seconds) + " s)" : "";
    std::string text = prefix_ + stage_;
    if (!detail_.empty()) text += (stage_.empty() ? "" : ": ") + detail_;
    std::size_t width = live_width();
    put(std::string(erase_line) + elide(text, width > clock.size() ? width - clock.size() : 0) + clock);
    live_line_ = true;
}

Printer::Sheet Printer::sheet() const {
    constexpr std::size_t narrowest = 40;
    const int fd = ::fileno(out_);
    const Screen screen = screen_of(fd);
    if (screen == Screen::pipe) return {page_width, false};
    winsize size{};
    auto width = static_cast<std::size_t>(width_);
    if (width == 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0) width = size.ws_col;
    if (width == 0) width = page_width;
    return {std::max(width, narrowest), screen == Screen::live && !is_set("NO_COLOR")};
}

/// One column less than the screen has: a character in the last column makes some terminals wrap.
std::size_t Printer::live_width() const {
    int columns = width_;
    winsize size{};
    if (columns == 0 && ::ioctl(::fileno(err_), TIOCGWINSZ, &size) == 0) columns = size.ws_col;
    if (columns == 0) columns = static_cast<int>(page_width);
    return static_cast<std::size_t>(columns) - 1;
}

void Printer::clear_live_line() {
    if (!live_line_) return;
    put(std::string(erase_line));
    live_line_ = false;
}

/// "<prefix>MARK: text".
void Printer::put_marked(std::string_view mark, std::string_view colour, std::string_view text) {
    std::string marked = std::string(mark) + ":";
    if (colour_) marked = std::string(colour) + marked + std::string(no_colour);
    put(prefix_ + marked + " " + fit(text) + "\n");
}

void Printer::warn(std::string_view text) {
    bool was_live = live_line_;
    clear_live_line();
    bool first = true;
    for (const std::string& line : text::split(text::trim(text), '\n')) {
        if (logged(Priority::warning, line)) {
            // said
        } else if (first) {
            put_marked("WARNING", yellow, line);
        } else {
            put(prefix_ + fit(line) + "\n");
        }
        first = false;
    }
    if (was_live) draw_live_line();
}

void Printer::say_bare(std::string_view line) {
    clear_live_line();
    if (!logged(Priority::notice, line)) put(fit(line) + "\n");
}

void Printer::say(std::string_view text) {
    const bool was_live = live_line_;
    clear_live_line();
    if (!logged(Priority::notice, text)) put(prefix_ + fit(text) + "\n");
    if (was_live) draw_live_line();
}

bool Printer::confirm(std::string_view question, std::string hint) {
    if (::isatty(STDIN_FILENO) != 1 || screen_ == Screen::pipe)
        throw Error(Code::usage, "nobody can be asked whether this is wanted", std::move(hint));
    say_bare(std::string(question) + " Only 'yes' does.");
    std::string answer;
    for (char byte = 0;;) {
        const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
        if (count < 0 && errno == EINTR) {
            Interruption().check();
            continue;
        }
        if (count <= 0 || byte == '\n') break;
        answer += byte;
    }
    return text::trim(answer) == "yes";
}

void Printer::pass_on(std::string_view bytes) {
    clear_live_line();
    put(std::string(bytes));
}

void Printer::answer(std::string_view line) {
    answer_raw(std::string(line) + "\n");
}

void Printer::answer(std::string_view line, Tone tone) {
    constexpr std::array<std::string_view, 5> colours{"", "\033[32m", yellow, bold_red, "\033[2m"};
    const std::string_view colour = colours[static_cast<std::size_t>(tone)];
    if (colour.empty() || !sheet().styled) return answer(line);
    answer(std::string(colour) + std::string(line) + std::string(no_colour));
}

void Printer::answer_raw(std::string_view bytes) {
    clear_live_line();
    if (std::fwrite(bytes.data(), 1, bytes.size(), out_) != bytes.size()) fail_unheard(errno);
}

void Printer::flush_answer() {
    clear_live_line();
    if (std::fflush(out_) != 0) fail_unheard(errno);
}

/// Drops what the stream still holds: sent later, it might not be true any more. A create, say, was undone,
/// which also freed the room that was missing.
void Printer::fail_unheard(int error) {
    __fpurge(out_);
    const Error plain = errno_error("cannot write to", "standard output", error);
    throw Error(plain.code(), plain.message(), unheard_.empty() ? plain.hint() : unheard_);
}

void Printer::error(const Error& error) {
    clear_live_line();
    JournalLog::Fields fields{{"BLOCKHOST_ERROR", std::string(row_of(error.code()).name)},
                              {"BLOCKHOST_HINT", fit(error.hint())}};
    if (!logged(Priority::error, error.what(), std::move(fields)))
        put_marked("ERROR", bold_red, error.what());
}

std::string Printer::error_json(const Error& error) {
    const CodeRow& row = row_of(error.code());
    boost::json::object document{{"status", "error"},
                                 {"error", error.message()},
                                 {"code", row.name},
                                 {"hint", error.hint()},
                                 {"retry", row.retry}};
    if (const auto* bad = dynamic_cast<const FieldError*>(&error)) {
        boost::json::array fields;
        for (const BadField& each : bad->fields())
            fields.push_back(
                boost::json::object{{"field", each.field}, {"message", each.message}, {"hint", each.hint}});
        document["field"] = bad->fields().front().field;
        document["errors"] = std::move(fields);
    }
    return json::python_line(document);
}

} // namespace blockhost::cli
