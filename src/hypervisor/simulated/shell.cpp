// SPDX-License-Identifier: MIT
/// See shell.hpp.

#include "hypervisor/simulated/shell.hpp"

#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>
#include <csignal>

namespace blockhost::simulated {
namespace {

/// One simple command and what stands before it.
struct Step {
    std::string joint; ///< "", "&&" or "||"
    std::vector<std::string> words;
    bool to_stderr = false;
};

/// Cuts a shell's text into steps.
class Reader {
  public:
    explicit Reader(const std::string& text) : text_(text) {}

    std::vector<Step> read() {
        while (at_ < text_.size()) take();
        end_step("");
        return std::move(steps_);
    }

  private:
    void take() {
        const char c = text_[at_++];
        if (quote_ != 0)
            take_quoted(c);
        else if (c == '\'' || c == '"')
            open_quote(c);
        else if (c == '\\' && at_ < text_.size())
            add(text_[at_++]);
        else if (c == ' ' || c == '\t')
            end_word();
        else if (c == ';' || c == '\n')
            end_step("");
        else if ((c == '&' || c == '|') && next_is(c))
            end_step(std::string(2, text_[at_++]));
        else if (c == '>' && text_.compare(at_, 2, "&2") == 0)
            at_ += 2, step_.to_stderr = true;
        else if (c == '$' && next_is('$'))
            ++at_, word_ += "$$", in_word_ = true;
        else
            add(c);
    }
    void take_quoted(char c) {
        if (c == quote_)
            quote_ = 0;
        else if (c == '\\' && quote_ == '"' && at_ < text_.size() && (next_is('"') || next_is('\\')))
            add(text_[at_++]);
        else
            add(c);
    }
    void open_quote(char c) {
        quote_ = c;
        in_word_ = true;
    }
    bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
    void add(char c) {
        word_ += c;
        in_word_ = true;
    }
    void end_word() {
        if (in_word_) step_.words.push_back(std::move(word_));
        word_.clear();
        in_word_ = false;
    }
    void end_step(const std::string& next_joint) {
        end_word();
        if (!step_.words.empty()) steps_.push_back(std::move(step_));
        step_ = Step{next_joint, {}, false};
    }

    const std::string& text_;
    std::size_t at_ = 0;
    char quote_ = 0;
    bool in_word_ = false;
    std::string word_;
    Step step_;
    std::vector<Step> steps_;
};

/// Octal escapes and \n.
std::string printed(const std::string& format) {
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '\\' || i + 1 == format.size()) {
            out += format[i];
        } else if (format[i + 1] == 'n') {
            out += '\n';
            ++i;
        } else {
            int value = 0;
            std::size_t digits = 0;
            for (; digits < 3 && i + 1 < format.size() && format[i + 1] >= '0' && format[i + 1] <= '7';
                 ++digits)
                value = value * 8 + (format[++i] - '0');
            out += digits > 0 ? static_cast<char>(value) : '\\';
        }
    }
    return out;
}

int signal_of(const std::string& word) {
    static const std::map<std::string, int> numbers{
        {"-HUP", SIGHUP}, {"-INT", SIGINT}, {"-KILL", SIGKILL}, {"-9", SIGKILL}, {"-TERM", SIGTERM}};
    auto found = numbers.find(word);
    return found == numbers.end() ? SIGTERM : found->second;
}

/// One shell at work.
class Shell {
  public:
    Shell(Files& files, bool locked) : files_(files), locked_(locked) {}

    Ended run(const std::string& text) {
        for (const Step& step : Reader(text).read()) {
            if ((step.joint == "&&" && ended_.code != 0) || (step.joint == "||" && ended_.code == 0))
                continue;
            execute(step);
            if (over_) break;
        }
        return std::move(ended_);
    }

    Ended run_one(std::vector<std::string> words) {
        execute(Step{"", std::move(words), false});
        return std::move(ended_);
    }

  private:
    void execute(const Step& step) {
        words_ = step.words;
        out_.clear();
        ended_.code = 0;
        const std::string name = words_[0].substr(words_[0].rfind('/') + 1);
        static const std::map<std::string, void (Shell::*)()> commands{
            {"exit", &Shell::exit},     {"echo", &Shell::echo},       {"printf", &Shell::printf},
            {"true", &Shell::nothing},  {"umask", &Shell::nothing},   {"false", &Shell::fail},
            {"kill", &Shell::kill},     {"sleep", &Shell::sleep},     {"cat", &Shell::cat},
            {"head", &Shell::head},     {"usermod", &Shell::usermod}, {"getent", &Shell::getent},
            {"mktemp", &Shell::mktemp}, {"rm", &Shell::rm},           {"systemctl", &Shell::systemctl},
        };
        auto command = commands.find(name);
        if (command == commands.end())
            complain(127, "/bin/sh: 1: " + words_[0] + ": not found");
        else
            (this->*command->second)();
        (step.to_stderr ? ended_.err : ended_.out) += out_;
    }

    std::string word(std::size_t i) const { return i < words_.size() ? words_[i] : ""; }
    std::int64_t number(std::size_t i) const { return text::parse_int(word(i)).value_or(0); }
    void complain(int code, const std::string& line) {
        ended_.err += line + "\n";
        ended_.code = code;
    }

    void nothing() {}
    void fail() { ended_.code = 1; }
    void exit() {
        ended_.code = static_cast<int>(number(1) & 255);
        over_ = true;
    }
    void echo() {
        for (std::size_t i = 1; i < words_.size(); ++i) out_ += (i > 1 ? " " : "") + words_[i];
        out_ += "\n";
    }
    void printf() { out_ = printed(word(1)); }
    void kill() {
        if (words_.back() != "$$") return complain(1, "/bin/sh: 1: kill: No such process");
        ended_.signal = signal_of(word(1));
        over_ = true;
    }
    void sleep() { ended_.milliseconds += number(1) * 1000; }
    void cat() {
        for (std::size_t i = 1; i < words_.size(); ++i) {
            auto file = files_.find(words_[i]);
            if (file == files_.end()) return complain(1, "cat: " + words_[i] + ": No such file or directory");
            out_ += file->second;
        }
    }
    void head() {
        out_.assign(static_cast<std::size_t>(std::clamp<std::int64_t>(number(2), 0, 64 << 20)), '\0');
    }
    void systemctl() {
        if (word(1) != "list-jobs") return complain(1, "Unknown command verb " + word(1) + ".");
        out_ = files_[std::string(boot_jobs_file)];
    }
    void mktemp() {
        std::string folder = word(2).empty() ? "/tmp/tmp.XXXXXX" : word(2);
        folder.replace(folder.size() - 6, 6, random_hex(6));
        files_[folder + "/"] = "";
        out_ = folder + "\n";
    }
    void rm() {
        const std::string folder = words_.back() + "/";
        std::erase_if(files_, [&](const auto& file) { return file.first.starts_with(folder); });
    }
    void getent() {
        for (const auto& line : text::split(files_["/etc/passwd"], '\n'))
            if (line.starts_with(word(2) + ":")) return void(out_ = line + "\n");
        ended_.code = 2;
    }
    void usermod();

    Files& files_;
    bool locked_, over_ = false;
    std::vector<std::string> words_;
    std::string out_; ///< of the command at work
    Ended ended_;
};

/// `usermod -c COMMENT [--] USER`, with the words and exit codes of Debian's.
void Shell::usermod() {
    const std::string comment = word(2), user = words_.back();
    if (locked_) return complain(1, "usermod: cannot lock /etc/passwd; try again later.");
    if (word(1) != "-c" || comment.find_first_of(":\n") != comment.npos)
        return complain(3, "usermod: invalid comment '" + comment + "'");
    std::string& passwd = files_["/etc/passwd"];
    std::string changed;
    bool found = false;
    for (const auto& line : text::split(passwd, '\n')) {
        auto fields = text::split(line, ':');
        if (fields.size() == 7 && fields[0] == user) {
            fields[4] = comment;
            found = true;
        }
        if (line.empty()) continue;
        for (std::size_t i = 0; i < fields.size(); ++i) changed += (i > 0 ? ":" : "") + fields[i];
        changed += "\n";
    }
    if (!found) return complain(6, "usermod: user '" + user + "' does not exist");
    passwd = changed;
}

/// What our own text around a command makes of how the command ended.
Ended limited(Ended ended, const std::string& around) {
    constexpr std::string_view cut = "head -c ";
    if (auto at = around.find(cut); at != around.npos) {
        const auto limit = static_cast<std::size_t>(std::atoll(around.c_str() + at + cut.size()));
        ended.out.resize(std::min(ended.out.size(), limit));
        ended.err.resize(std::min(ended.err.size(), limit));
    }
    if (ended.signal != 0) ended.code = 128 + ended.signal;
    ended.signal = 0;
    return ended;
}

Ended run_shell(const std::vector<std::string>& arguments, Files& files, bool locked) {
    auto remove = [&](const std::string& folder) {
        return Shell(files, locked).run_one({"rm", "-rf", "--", folder});
    };
    if (arguments.size() == 2 && arguments[0] == "-c") return Shell(files, locked).run(arguments[1]);
    if (arguments.size() == 1) {
        auto script = files.find(arguments[0]);
        if (script == files.end()) return Ended{2, 0, "", "/bin/sh: 0: cannot open " + arguments[0] + "\n"};
        return Shell(files, locked).run(std::string(script->second));
    }
    if (arguments.size() < 4) return Ended{2, 0, "", "/bin/sh: 0: -c requires an argument\n"};
    const std::string& around = arguments[1];
    if (around.starts_with("rm ")) return remove(arguments[3]);
    auto ended = limited(run_shell({arguments.begin() + 3, arguments.end()}, files, locked), around);
    if (around.find("rm -rf") != around.npos) remove(arguments[3].substr(0, arguments[3].rfind('/')));
    return ended;
}

} // namespace

Ended run_program(const std::string& path, const std::vector<std::string>& arguments, Files& files,
                  bool locked) {
    if (path == "/bin/sh") return run_shell(arguments, files, locked);
    std::vector<std::string> words{path};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return Shell(files, locked).run_one(std::move(words));
}

} // namespace blockhost::simulated
