// SPDX-License-Identifier: MIT
// Adds lines to the chain, and follows it.
#include "authority/audit.hpp"

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/lock.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::authority {

namespace {

constexpr std::size_t longest_line = 256u << 10;
const std::string no_hash(64, '0');

std::uint64_t size_of(int fd, std::string_view path) {
    struct stat found {};
    if (fstat(fd, &found) != 0) throw errno_error("cannot look at", path, errno);
    return static_cast<std::uint64_t>(found.st_size);
}

std::string read_range(int fd, std::uint64_t from, std::size_t count, std::string_view path) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
        const ssize_t n = pread(fd, bytes.data() + have, count - have, static_cast<off_t>(from + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw errno_error("cannot read", path, errno);
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    bytes.resize(have);
    return bytes;
}

/// What a line says of itself; nothing when it is none of a record.
struct Line {
    std::int64_t number = 0;
    std::string previous;
    std::int64_t count = 0;
};
std::optional<Line> read_line(std::string_view text) {
    try {
        const boost::json::value value = json::parse(text, "a line");
        const auto number = json::integer_in(value, "line");
        const std::string previous = json::string_or(value, "previous", "");
        if (!number || previous.size() != no_hash.size()) return std::nullopt;
        return Line{*number, previous, json::integer_in(value, "count").value_or(0)};
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// Calls `each` with every whole line until it returns false, or one is longer than a line may be. How many
/// bytes follow the last line that was read.
template<class Each>
std::size_t each_line(int fd, std::string_view name, const Each& each) {
    std::string rest;
    for (std::uint64_t at = 0; rest.size() <= longest_line;) {
        const std::string more = read_range(fd, at, 1u << 20, name);
        if (more.empty()) break;
        at += more.size();
        rest += more;
        std::size_t begin = 0;
        for (std::size_t end; (end = rest.find('\n', begin)) != rest.npos; begin = end + 1)
            if (!each(rest.substr(begin, end - begin))) return 0;
        rest.erase(0, begin);
    }
    return rest.size();
}

Error damaged(const std::string& path) {
    return Error(Code::io, "the last line of " + path + " is none of an audit record",
                 "keep the file, and have it looked at");
}

} // namespace

Audit::Audit(Folder folder, std::string name, Fd file)
    : folder_(std::move(folder)), name_(std::move(name)), path_((folder_.path() / name_).string()),
      file_(std::move(file)) {
    head_.hash = no_hash;
    read_end();
}

Audit Audit::open(Folder folder, const std::string& name) {
    Fd file = folder.open_file(name, O_RDWR | O_APPEND | O_CREAT, 0600);
    if (!file) throw errno_error("cannot open", (folder.path() / name).string(), ENOENT);
    folder.sync();
    return Audit(std::move(folder), name, std::move(file));
}

void Audit::read_end() {
    const std::uint64_t size = size_of(file_.get(), path_);
    if (size < end_)
        throw Error(Code::denied, fmt::format("{} has {} bytes, and had {} before", path_, size, end_),
                    "it was cut or replaced: find out by whom, and keep both");
    if (size == end_) {
        torn_ = 0;
        return;
    }
    const std::uint64_t from = size > 2 * longest_line ? size - 2 * longest_line : 0;
    const std::string tail = read_range(file_.get(), from, static_cast<std::size_t>(size - from), path_);
    const std::size_t last = tail.rfind('\n');
    if (last == tail.npos) {
        if (from > 0) throw damaged(path_);
        torn_ = size;
        return;
    }
    const std::size_t before = last == 0 ? tail.npos : tail.rfind('\n', last - 1);
    const std::size_t begin = before == tail.npos ? 0 : before + 1;
    if (before == tail.npos && from > 0) throw damaged(path_);
    const std::string text = tail.substr(begin, last - begin);
    const auto line = read_line(text);
    if (!line) throw damaged(path_);
    head_ = {line->number, sha256(text), line->count};
    end_ = from + last + 1;
    torn_ = size - end_;
}

AuditHead Audit::head() {
    read_end();
    return head_;
}

AuditHead Audit::add(const boost::json::object& what, Instant now) {
    const auto lock =
        FileLock::take_named(folder_, name_ + ".lock", 0600, Deadline::in(std::chrono::seconds(10)));
    if (!lock)
        throw Error(Code::busy, "another process has held " + path_ + " for 10 s", "wait for it, or end it");
    read_end();
    boost::json::object line{{"line", head_.line + 1}, {"previous", head_.hash}, {"at", format_instant(now)}};
    if (torn_ > 0) {
        if (ftruncate(file_.get(), static_cast<off_t>(end_)) != 0)
            throw errno_error("cannot cut", path_, errno);
        line["cut_bytes"] = torn_;
        torn_ = 0;
    }
    for (const auto& member : what) line[member.key()] = member.value();
    const std::string text = json::python_line(line);
    if (text.size() >= longest_line) throw Error(Code::internal, "a line for the audit is too long");
    fault::point("audit.add");
    files::write_all(file_.get(), text + "\n", path_);
    files::sync(file_.get(), path_);
    const auto count = line.if_contains("count");
    head_ = {head_.line + 1, sha256(text), count && count->is_int64() ? count->get_int64() : 0};
    end_ += text.size() + 1;
    fault::point("audit.add.after");
    return head_;
}

bool Audit::has(const AuditHead& known) const {
    bool has = known.line == 0;
    std::int64_t number = 0;
    each_line(file_.get(), path_, [&](const std::string& text) {
        if (++number == known.line) has = sha256(text) == known.hash;
        return number < known.line;
    });
    return has;
}

AuditCheck check_audit(int fd, std::string_view name, const std::optional<AuditHead>& known) {
    AuditCheck check;
    check.head.hash = no_hash;
    const auto broken = [&](std::string why) {
        check.broken_line = check.head.line + 1;
        check.why = std::move(why);
        return false;
    };
    bool knows = !known || known->line == 0;
    const std::size_t rest = each_line(fd, name, [&](const std::string& text) {
        const auto line = read_line(text);
        if (!line) return broken("it is no line of an audit record");
        if (line->number != check.head.line + 1)
            return broken(fmt::format("it says that it is line {}", line->number));
        if (line->previous != check.head.hash) return broken("it does not go with the line before it");
        check.head = {line->number, sha256(text), line->count};
        if (!known || known->line != line->number) return true;
        knows = known->hash == check.head.hash;
        if (knows) return true;
        check.head.line -= 1;
        return broken("it is not the line that is known from elsewhere");
    });
    if (check.broken_line != 0) return check;
    if (rest > longest_line)
        broken("it is longer than a line may be");
    else if (rest > 0)
        broken("it has no end");
    else if (!knows)
        broken(fmt::format("lines up to {} are known from elsewhere, and are gone", known->line));
    return check;
}

} // namespace blockhost::authority
