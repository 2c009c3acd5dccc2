// SPDX-License-Identifier: MIT
/// The journal's files: taking, writing and reading entries, and the short history of rolled-back operations.

#include "vm/journal.hpp"

#include "base/boot_clock.hpp"
#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {

namespace bj = boost::json;

namespace {

constexpr std::string_view suffix = ".journal";
constexpr std::string_view clean_flag = "give-up 0\n";
constexpr off_t flag_at = 8; ///< where the digit stands
constexpr std::size_t entry_max = 1 << 20;
constexpr off_t reserved_bytes = 16 << 10;
constexpr const char* history_file = "history";
constexpr const char* older_history_file = "history.1";
constexpr off_t history_max = 1 << 20;

/// Goes on after a short write: only the next write tells why it was short.
void write_at(int fd, std::string_view text, off_t at, const std::string& name) {
    while (!text.empty()) {
        const ssize_t written = pwrite(fd, text.data(), text.size(), at);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw errno_error("cannot write journal entry", name, errno);
        text.remove_prefix(static_cast<std::size_t>(written));
        at += written;
    }
}

std::string file_of(const VmName& name) {
    return name.str() + std::string(suffix);
}

void apply_line(EntryView& view, const bj::object& line) {
    const auto text = [&](std::string_view key) { return json::string_or(line, key, ""); };
    const auto when = [&] { return parse_instant(text("at")).value_or(view.since); };
    if (const auto up = json::integer_in(line, "up")) view.last_uptime_ms = *up;
    if (line.contains("start")) {
        view.started.push_back(text("start"));
        view.last_start = when();
    } else if (line.contains("done")) {
        view.done.push_back(text("done"));
        view.last_start.reset();
    } else {
        for (const auto& pair : json::object_in(line, "note")) view.notes[pair.key()] = pair.value();
    }
}

std::optional<EntryView> header_of(const bj::object& line, const VmName& name) {
    const auto operation = OperationId::try_parse(json::string_or(line, "operation", ""));
    const auto since = parse_instant(json::string_or(line, "since", ""));
    if (!operation || !since || json::string_or(line, "name", "") != name.str()) return std::nullopt;
    EntryView view{*operation, name, json::string_or(line, "verb", ""), 0, *since, {}, {}, {}, {}, {}};
    view.boot = json::string_or(line, "boot", "");
    if (const auto up = json::integer_in(line, "up")) view.last_uptime_ms = *up;
    if (const auto pid = json::integer_in(line, "pid")) view.pid = static_cast<int>(*pid);
    view.parameters = json::object_in(line, "parameters");
    return view;
}

/// The entry's text as a view; nothing when no header was completely written. A last line without its newline
/// was being written when the owner died, and does not count.
std::optional<EntryView> parse_entry(const std::string& text, const VmName& name) {
    std::optional<EntryView> view;
    std::size_t at = text.find('\n');
    if (at == std::string::npos) return std::nullopt;
    for (++at; at < text.size();) {
        const std::size_t newline = text.find('\n', at);
        if (newline == std::string::npos) break;
        boost::system::error_code error;
        const bj::value line = bj::parse(text.substr(at, newline - at), error);
        at = newline + 1;
        if (error || !line.is_object()) break;
        if (view && line.get_object().contains("ended")) return std::nullopt;
        if (view) {
            apply_line(*view, line.get_object());
        } else {
            view = header_of(line.get_object(), name);
            if (!view) break;
        }
    }
    return view;
}

} // namespace

std::string EntryView::in_flight() const {
    return last_start && !started.empty() ? started.back() : std::string();
}

EntrySeen EntryView::seen() const {
    if (verb == to_string(Verb::create)) return EntrySeen::create;
    return verb == to_string(Verb::destroy) ? EntrySeen::destroy : EntrySeen::other;
}

std::optional<Ipv4> EntryView::ip() const {
    return Ipv4::try_parse(json::string_or(notes, "ip", ""));
}
std::optional<Ipv6> EntryView::ipv6() const {
    return Ipv6::try_parse(json::string_or(notes, "ipv6", ""));
}

JournalEntry::JournalEntry(const Journal& journal, VmName name, FileLock lock)
    : journal_(&journal), name_(std::move(name)), lock_(std::make_unique<FileLock>(std::move(lock))) {
    const std::string text = files::read_fd(lock_->fd(), file_of(name_), entry_max);
    left_ = parse_entry(text, name_);
    open_ = left_.has_value();
    end_ = static_cast<off_t>(text.size());
    if (left_ && !text.empty() && text.back() != '\n') end_ = static_cast<off_t>(text.rfind('\n') + 1);
}

JournalEntry::~JournalEntry() {
    if (!lock_ || open_) return;
    try {
        journal_->folder().remove(file_of(name_));
    } catch (const std::exception&) {
        // An entry that is clean or has ended says nothing; the next taker removes it.
    }
}

void JournalEntry::reset() {
    if (ftruncate(lock_->fd(), 0) != 0)
        throw errno_error("cannot reset journal entry", file_of(name_), errno);
    end_ = 0;
}

void JournalEntry::begin(const OperationId& operation, const std::string& verb,
                         const bj::object& parameters) {
    if (open_) throw Error(Code::internal, "a journal entry was begun while another operation is open in it");
    reset();
    const Moment moment = moment_now();
    const std::string header = bj::serialize(bj::object{{"operation", operation.str()},
                                                        {"verb", verb},
                                                        {"name", name_.str()},
                                                        {"pid", getpid()},
                                                        {"since", format_instant(moment.wall)},
                                                        {"boot", moment.boot},
                                                        {"up", moment.since_boot.count()},
                                                        {"parameters", parameters}});
    const std::string text = std::string(clean_flag) + header + "\n";
    started_.clear();
    // Reserves room for all lines to come, so that a full disk cannot keep the operation from ending.
    if (fallocate(lock_->fd(), FALLOC_FL_KEEP_SIZE, 0, reserved_bytes) != 0 && errno == ENOSPC)
        throw errno_error("cannot make room for journal entry", file_of(name_), errno);
    fault::point("journal.begin");
    write_at(lock_->fd(), text, 0, file_of(name_));
    files::sync(lock_->fd(), file_of(name_));
    journal_->folder().sync();
    end_ = static_cast<off_t>(text.size());
    open_ = true;
    fault::point("journal.begin.after");
}

void JournalEntry::append(const bj::object& line, Synced synced) {
    const std::string text = bj::serialize(line) + "\n";
    fault::point("journal.append");
    write_at(lock_->fd(), text, end_, file_of(name_));
    if (synced == Synced::now) files::sync(lock_->fd(), file_of(name_));
    fault::point("journal.append.after");
    end_ += static_cast<off_t>(text.size());
}

void JournalEntry::step_started(std::string_view step, Synced synced) {
    started_.emplace_back(step);
    append({{"start", step}, {"at", format_instant(now())}, {"up", time_since_boot().count()}}, synced);
}

void JournalEntry::step_done(std::string_view step) {
    append({{"done", step}, {"at", format_instant(now())}}, Synced::with_the_next);
}
void JournalEntry::note(const bj::object& notes) {
    append({{"note", notes}});
}

void JournalEntry::note_addresses(const Ipv4& ip, const std::optional<Ipv6>& ipv6) {
    note({{"ip", ip.str()}, {"ipv6", ipv6 ? ipv6->str() : ""}});
}

void JournalEntry::end() {
    append({{"ended", true}});
    open_ = false;
    left_.reset();
    started_.clear();
}

bool JournalEntry::asked_to_give_up() const {
    char digit = '0';
    return pread(lock_->fd(), &digit, 1, flag_at) == 1 && digit == '1';
}

Folder Journal::folder() const {
    return place_.make(0750);
}

namespace {

/// Turns the digit of the entry in `file` to 1; its holder looks at it within 200 ms.
void ask_holder(const Folder& folder, const std::string& file) {
    const Fd fd = folder.open_file(file, O_WRONLY);
    if (!fd) return;
    if (pwrite(fd.get(), "1", 1, flag_at) != 1)
        throw errno_error("cannot ask the operation to give up through", file, errno);
}

[[noreturn]] void throw_busy(const VmName& name, const std::optional<EntryView>& holder) {
    if (!holder)
        throw Error(Code::busy, fmt::format("{} is busy: another operation holds it", name.str()),
                    "try again shortly");
    throw Error(Code::busy,
                fmt::format("{} is busy: {} since {} (process {})", name.str(), holder->verb,
                            format_instant(holder->since), holder->pid),
                "try again when it is done");
}

} // namespace

JournalEntry Journal::take(const VmName& name, Manner manner, const Deadline& deadline,
                           const Interruption& interruption) const {
    const std::string file = file_of(name);
    while (true) {
        const Folder journal = folder(); // it may have been removed meanwhile
        if (auto lock = FileLock::take_named(journal, file, 0640))
            return JournalEntry(*this, name, std::move(*lock));
        interruption.check();
        if (deadline.passed()) throw_busy(name, peek(name));
        if (manner == Manner::ask_to_give_up) ask_holder(journal, file);
        pause_for(std::chrono::milliseconds(20));
    }
}

std::vector<VmName> Journal::names() const {
    std::vector<VmName> found;
    const auto journal = place_.open();
    if (!journal) return found;
    for (const std::string& file : journal->names()) {
        if (!std::string_view(file).ends_with(suffix)) continue;
        if (auto name = VmName::try_parse(file.substr(0, file.size() - suffix.size())))
            found.push_back(*name);
    }
    return found;
}

std::optional<EntryView> Journal::peek(const VmName& name) const {
    const auto journal = place_.open();
    if (!journal) return std::nullopt;
    const auto text = journal->read(file_of(name), entry_max);
    return text ? parse_entry(*text, name) : std::nullopt;
}

bool Journal::held(const VmName& name) const {
    const auto journal = place_.open();
    if (!journal) return false;
    Fd fd = journal->open_file(file_of(name), O_RDWR);
    return fd && !FileLock::try_take(fd);
}

Journal::Claims Journal::claims_of_others(const VmName& name) const {
    return claims_but(name);
}
Journal::Claims Journal::all_claims() const {
    return claims_but(std::nullopt);
}

Journal::Claims Journal::claims_but(const std::optional<VmName>& name) const {
    Claims claims;
    for (const VmName& other : names()) {
        const auto entry = other == name ? std::nullopt : peek(other);
        if (!entry) continue;
        if (const auto ip = entry->ip()) claims.ip.push_back(*ip);
        if (const auto ipv6 = entry->ipv6()) claims.ipv6.push_back(*ipv6);
    }
    return claims;
}

void Journal::remember_rolled_back(const OperationId& operation, const VmName& name,
                                   const std::optional<Ipv4>& ip) const {
    const Folder journal = folder();
    Fd fd = journal.open_file(history_file, O_WRONLY | O_CREAT | O_APPEND, 0640);
    struct stat of_file {};
    if (fstat(fd.get(), &of_file) == 0 && of_file.st_size > history_max) {
        if (renameat(journal.fd(), history_file, journal.fd(), older_history_file) != 0)
            throw errno_error("cannot turn over the journal's history in", place_.string(), errno);
        fd = journal.open_file(history_file, O_WRONLY | O_CREAT | O_APPEND, 0640);
    }
    const std::string line = bj::serialize(bj::object{{"rolled_back", operation.str()},
                                                      {"name", name.str()},
                                                      {"ip", ip ? ip->str() : ""},
                                                      {"at", format_instant(now())}});
    files::write_all(fd.get(), line + "\n", history_file);
    files::sync(fd.get(), history_file);
}

/// The history's text, the older part first; empty when there is none.
std::string Journal::history() const {
    const auto journal = place_.open();
    if (!journal) return {};
    return journal->read(older_history_file, 4 * history_max).value_or("") +
           journal->read(history_file, 4 * history_max).value_or("");
}

bool Journal::was_rolled_back(const OperationId& operation) const {
    return history().find("\"rolled_back\":\"" + operation.str() + "\"") != std::string::npos;
}

std::optional<Instant> Journal::given_back_at(const Ipv4& ip) const {
    const std::string text = history();
    const std::size_t found = text.rfind("\"ip\":\"" + ip.str() + "\"");
    if (found == std::string::npos) return std::nullopt;
    const std::size_t begin = found == 0 ? 0 : text.rfind('\n', found) + 1;
    boost::system::error_code error;
    const bj::value line = bj::parse(text.substr(begin, text.find('\n', found) - begin), error);
    return error ? std::nullopt : parse_instant(json::string_or(line, "at", ""));
}

FileLock Journal::take_admission(const Deadline& deadline, const Interruption& interruption) const {
    const Folder journal = folder();
    Fd self(openat(journal.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!self) throw errno_error("cannot open", place_.string(), errno);
    auto lock = FileLock::take(std::move(self), FileLock::Mode::exclusive, deadline,
                               [&] { return interruption.reason() != Interruption::Reason::none; });
    interruption.check();
    if (!lock) throw Error(Code::busy, "another create is being admitted for too long", "try again shortly");
    return std::move(*lock);
}

} // namespace blockhost
