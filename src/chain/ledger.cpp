// Files of the ledger: JSON documents that are replaced whole, and locks.
#include "chain/ledger.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "chain/keccak.hpp"
#include "chain/rlp.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

namespace blockhost::chain {

namespace bj = boost::json;

namespace {

constexpr std::string_view open_suffix = ".open", done_suffix = ".done", lock_suffix = ".lock";
constexpr std::size_t file_max = 1 << 20;
constexpr mode_t mode = 0640;
constexpr std::string_view hint =
    "look for its transaction on the chain before removing it: what it says may be mined";

[[noreturn]] void refuse(const std::string& name) {
    throw Error(Code::config, name + " is not what mint-nft writes", std::string(hint));
}

bj::value parsed(const std::string& text, const std::string& name) {
    try {
        return json::parse(text, name);
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), std::string(hint));
    }
}

/// Members of a document of ours; each refuses what is not as we write it.
struct Document {
    const bj::value& value;
    const std::string& name;

    std::string text(std::string_view key) const {
        const bj::value* found = value.is_object() ? value.get_object().if_contains(key) : nullptr;
        if (!found || !found->is_string()) refuse(name);
        return std::string(found->get_string());
    }
    template<class T>
    T must(std::optional<T> read) const {
        if (!read) refuse(name);
        return std::move(*read);
    }
    U256 number(std::string_view key) const { return must(parse_quantity(text(key))); }
    std::uint64_t u64(std::string_view key) const { return must(as_u64(number(key))); }
    Bytes bytes(std::string_view key) const { return must(parse_hex(text(key))); }
    Hash hash(std::string_view key) const { return must(parse_hash(text(key))); }
    Address address(std::string_view key) const { return must(Address::of_node(text(key))); }
};

std::string_view to_string(MintEnd::How how) {
    switch (how) {
    case MintEnd::How::reverted:
        return "reverted";
    case MintEnd::How::displaced:
        return "displaced";
    case MintEnd::How::minted:
        break;
    }
    return "minted";
}

std::string with(const std::string& identity, std::string_view suffix) {
    return identity + std::string(suffix);
}

std::string account_file(std::uint64_t chain_id, const Address& account) {
    return fmt::format("{}-{}{}", chain_id, hex(account.bytes()), lock_suffix);
}

/// " since …, process …", as the holder wrote it; empty when it has not yet.
std::string holder_words(const Folder& folder, const std::string& file) {
    try {
        const bj::value said = json::parse(folder.read(file).value_or(""), file);
        const bj::value* pid = said.is_object() ? said.get_object().if_contains("pid") : nullptr;
        const auto since = parse_instant(json::string_or(said, "since", ""));
        if (!pid || !pid->is_int64() || !since) return {};
        return fmt::format(" since {} (process {})", format_instant(*since), pid->get_int64());
    } catch (const Error&) {
        return {};
    }
}

void say_who_holds(const FileLock& lock, const std::string& file) {
    const std::string text =
        json::python_line(bj::object{{"pid", getpid()}, {"since", format_instant(now())}}) + "\n";
    if (ftruncate(lock.fd(), 0) != 0 ||
        pwrite(lock.fd(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        throw errno_error("cannot write", file, errno);
}

} // namespace

std::string MintIdentity::name() const {
    const Bytes parts = rlp::list(
        {rlp::number(chain_id), rlp::text(contract.bytes()), rlp::text(recipient.bytes()), rlp::text(data)});
    return text::to_hex(keccak256(parts));
}

std::string to_text(const MintEntry& entry) {
    return json::python_line(bj::object{{"chain_id", quantity(entry.identity.chain_id)},
                                        {"contract", entry.identity.contract.str()},
                                        {"recipient", entry.identity.recipient.str()},
                                        {"data", hex(entry.identity.data)},
                                        {"account", entry.account.str()},
                                        {"nonce", quantity(entry.nonce)},
                                        {"most_wei", quantity(entry.most)},
                                        {"hash", hex(entry.hash)},
                                        {"raw", hex(entry.raw)},
                                        {"signed_at", format_instant(entry.signed_at)}}) +
           "\n";
}

MintEntry mint_entry(const std::string& text, const std::string& name) {
    const bj::value value = parsed(text, name);
    const Document said{value, name};
    MintEntry entry{.identity = {said.u64("chain_id"), said.address("contract"), said.address("recipient"),
                                 said.bytes("data")},
                    .account = said.address("account"),
                    .nonce = said.u64("nonce"),
                    .most = said.number("most_wei"),
                    .hash = said.hash("hash"),
                    .raw = said.bytes("raw"),
                    .signed_at = said.must(parse_instant(said.text("signed_at")))};
    if (keccak256(entry.raw) != entry.hash) refuse(name);
    return entry;
}

std::string to_text(const MintEnd& end) {
    return json::python_line(bj::object{{"end", to_string(end.how)},
                                        {"hash", hex(end.hash)},
                                        {"token_id", quantity(end.token)},
                                        {"block", quantity(end.block)},
                                        {"at", format_instant(now())}}) +
           "\n";
}

MintEnd mint_end(const std::string& text, const std::string& name) {
    using How = MintEnd::How;
    const bj::value value = parsed(text, name);
    const Document said{value, name};
    for (const How how : {How::minted, How::reverted, How::displaced})
        if (said.text("end") == to_string(how))
            return {how, said.hash("hash"), said.number("token_id"), said.u64("block")};
    refuse(name);
}

LedgerLock::~LedgerLock() {
    if (!lock_) return;
    try {
        folder_->remove(name_);
    } catch (const std::exception&) {
        // Left there it says nothing: its lock is free.
    }
}

Ledger::Ledger(const std::filesystem::path& path) : folder_(Folder::open_or_make(path, 0750)) {}

std::optional<Ledger> Ledger::existing(const std::filesystem::path& path) {
    auto folder = Folder::open(path);
    return folder ? std::optional(Ledger(std::move(*folder))) : std::nullopt;
}

std::optional<LedgerLock> Ledger::try_lock(const std::string& file) const {
    for (;;) {
        Fd fd = folder_.open_file(file, O_RDWR | O_CREAT, mode);
        if (!fd) continue; // its holder removed it in between
        auto lock = FileLock::try_take(fd);
        if (!lock) return std::nullopt;
        if (!lock->still_named(folder_.fd(), file)) continue;
        say_who_holds(*lock, file);
        return LedgerLock(folder_, file, std::move(*lock));
    }
}

LedgerLock Ledger::take(const std::string& file, const std::string& what, const Deadline& deadline,
                        const WaitCheck& check) const {
    constexpr std::chrono::milliseconds look_every(50);
    for (;;) {
        if (auto lock = try_lock(file)) return std::move(*lock);
        if (deadline.passed())
            throw Error(Code::busy,
                        what + " is busy: another mint-nft is at it" + holder_words(folder_, file),
                        "call again when it is done");
        check();
        std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(look_every, deadline.left()));
    }
}

LedgerLock Ledger::take_identity(const std::string& identity, const Deadline& deadline,
                                 const WaitCheck& check) const {
    LedgerLock lock = take(with(identity, lock_suffix), "this very mint", deadline, check);
    for (const auto suffix : {open_suffix, done_suffix}) folder_.remove_temporaries(with(identity, suffix));
    return lock;
}

std::optional<LedgerLock> Ledger::try_identity(const std::string& identity) const {
    return try_lock(with(identity, lock_suffix));
}

LedgerLock Ledger::take_account(std::uint64_t chain_id, const Address& account, const Deadline& deadline,
                                const WaitCheck& check) const {
    return take(account_file(chain_id, account), "the account " + account.str(), deadline, check);
}

std::optional<MintEntry> Ledger::open_entry(const std::string& identity) const {
    const std::string file = with(identity, open_suffix), full = (folder_.path() / file).native();
    const auto text = folder_.read(file, file_max);
    if (!text) return std::nullopt;
    MintEntry entry = mint_entry(*text, full);
    if (entry.identity.name() != identity) refuse(full);
    return entry;
}

std::optional<MintEnd> Ledger::last_end(const std::string& identity) const {
    const std::string file = with(identity, done_suffix);
    const auto text = folder_.read(file, file_max);
    return text ? std::optional(mint_end(*text, (folder_.path() / file).native())) : std::nullopt;
}

std::vector<MintEntry> Ledger::open_of(std::uint64_t chain_id, const Address& account) const {
    std::vector<MintEntry> all;
    for (const std::string& file : folder_.names()) {
        if (!file.ends_with(open_suffix) || file.starts_with('.')) continue;
        auto entry = open_entry(file.substr(0, file.size() - open_suffix.size()));
        if (entry && entry->identity.chain_id == chain_id && entry->account == account)
            all.push_back(std::move(*entry));
    }
    std::ranges::sort(all, {}, &MintEntry::nonce);
    return all;
}

void Ledger::write(const MintEntry& entry) const {
    folder_.replace(with(entry.identity.name(), open_suffix), to_text(entry),
                    {.mode = mode, .uid = {}, .gid = {}});
}

void Ledger::close(const std::string& identity, const MintEnd& end) const {
    folder_.replace(with(identity, done_suffix), to_text(end), {.mode = mode, .uid = {}, .gid = {}});
    folder_.remove(with(identity, open_suffix));
}

} // namespace blockhost::chain
