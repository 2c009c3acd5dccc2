// SPDX-License-Identifier: MIT
// The ledger's files: JSON documents that are replaced whole, and locks.
#include "chain/ledger.hpp"

#include "base/error.hpp"
#include "base/patience.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "chain/evm/keccak.hpp"
#include "chain/evm/rlp.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <limits>
#include <unistd.h>

namespace blockhost::chain {

namespace bj = boost::json;

namespace {

constexpr std::string_view open_suffix = ".open", closed_suffix = ".closed", done_suffix = ".done",
                           lock_suffix = ".lock";
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

/// The members of a ledger file; each refuses what mint-nft does not write.
struct Document {
    const bj::value& value;
    const std::string& name;

    std::string text(std::string_view key) const {
        const bj::value* found = json::member(value, key);
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

std::string with(const std::string& name, std::string_view suffix) {
    return name + std::string(suffix);
}

/// The name of an entry's file, without `suffix`.
std::string name_of(const MintEntry& entry, std::string_view suffix) {
    return suffix == open_suffix ? entry.identity.name() : text::to_hex(entry.hash);
}

std::string account_file(std::uint64_t chain_id, const Address& account) {
    return fmt::format("{}-{}{}", chain_id, hex(account.bytes()), lock_suffix);
}

/// " since … (process …)", as the holder wrote it; empty when it has not yet.
std::string holder_words(const Folder& folder, const std::string& file) {
    try {
        const bj::value said = json::parse(folder.read(file).value_or(""), file);
        const auto pid = json::integer_in(said, "pid");
        const auto since = parse_instant(json::string_or(said, "since", ""));
        if (!pid || !since) return {};
        return fmt::format(" since {} (process {})", format_instant(*since), *pid);
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
    constexpr auto no_nonce = std::numeric_limits<std::uint64_t>::max(); // EIP-2681
    if (keccak256(entry.raw) != entry.hash || entry.nonce == no_nonce) refuse(name);
    return entry;
}

std::string to_text(const MintedToken& token) {
    return json::python_line(bj::object{{"hash", hex(token.hash)},
                                        {"token_id", quantity(token.token)},
                                        {"block", quantity(token.block)},
                                        {"at", format_instant(now())}}) +
           "\n";
}

MintedToken minted_token(const std::string& text, const std::string& name) {
    const bj::value value = parsed(text, name);
    const Document said{value, name};
    return {said.hash("hash"), said.number("token_id"), said.u64("block")};
}

LedgerLock::~LedgerLock() {
    if (!lock_) return;
    try {
        folder_->remove(name_);
    } catch (const std::exception&) {
        // A file that stays behind says nothing: its lock is free.
    }
}

Ledger::Ledger(const StatePlace& place) : folder_(place.make(0750)) {}

std::optional<Ledger> Ledger::existing(const StatePlace& place) {
    auto folder = place.open();
    return folder ? std::optional(Ledger(std::move(*folder))) : std::nullopt;
}

std::optional<LedgerLock> Ledger::try_lock(const std::string& file) const {
    auto lock = FileLock::take_named(folder_, file, mode);
    if (!lock) return std::nullopt;
    say_who_holds(*lock, file);
    return LedgerLock(folder_, file, std::move(*lock));
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
        pause_for(std::min<std::chrono::milliseconds>(look_every, deadline.left()), check);
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

std::optional<MintEntry> Ledger::entry_in(const std::string& file) const {
    const std::string full = (folder_.path() / file).native();
    const auto text = folder_.read(file, file_max);
    if (!text) return std::nullopt;
    MintEntry entry = mint_entry(*text, full);
    const auto dot = file.find('.');
    if (name_of(entry, std::string_view(file).substr(dot)) != file.substr(0, dot)) refuse(full);
    return entry;
}

std::optional<MintEntry> Ledger::open_entry(const std::string& identity) const {
    return entry_in(with(identity, open_suffix));
}

std::optional<MintedToken> Ledger::last_token(const std::string& identity) const {
    const std::string file = with(identity, done_suffix);
    const auto text = folder_.read(file, file_max);
    return text ? std::optional(minted_token(*text, (folder_.path() / file).native())) : std::nullopt;
}

std::vector<KeptMint> Ledger::kept(KeptMint::State state) const {
    const std::string_view suffix = state == KeptMint::State::open ? open_suffix : closed_suffix;
    std::vector<KeptMint> all;
    for (const std::string& file : folder_.names()) {
        if (!file.ends_with(suffix) || file.starts_with('.')) continue;
        if (auto entry = entry_in(file))
            all.push_back({std::move(*entry), state, (folder_.path() / file).native()});
    }
    return all;
}

/// Open entries are listed first: one that is closed meanwhile is met twice rather than never.
std::vector<KeptMint> Ledger::signed_by(std::uint64_t chain_id, const Address& account) const {
    std::vector<KeptMint> all = kept(KeptMint::State::open);
    for (KeptMint& closed : kept(KeptMint::State::closed)) {
        std::erase_if(all, [&](const KeptMint& open) { return open.entry.hash == closed.entry.hash; });
        all.push_back(std::move(closed));
    }
    std::erase_if(all, [&](const KeptMint& each) {
        return each.entry.identity.chain_id != chain_id || each.entry.account != account;
    });
    std::ranges::sort(all, {}, [](const KeptMint& each) { return each.entry.nonce; });
    return all;
}

std::string Ledger::open_path(const std::string& identity) const {
    return (folder_.path() / with(identity, open_suffix)).native();
}

void Ledger::write(const MintEntry& entry) const {
    folder_.replace(with(name_of(entry, open_suffix), open_suffix), to_text(entry),
                    {.mode = mode, .uid = {}, .gid = {}});
}

void Ledger::close(const MintEntry& entry, const std::optional<MintedToken>& token) const {
    const std::string identity = entry.identity.name();
    if (token)
        folder_.replace(with(identity, done_suffix), to_text(*token), {.mode = mode, .uid = {}, .gid = {}});
    const std::string closed = with(name_of(entry, closed_suffix), closed_suffix);
    folder_.remove(closed); // an older file of the same transaction
    files::move_at(folder_.fd(), with(identity, open_suffix), folder_.fd(), closed,
                   (folder_.path() / closed).native());
}

void Ledger::forget(const MintEntry& closed) const {
    folder_.remove(with(name_of(closed, closed_suffix), closed_suffix));
}

} // namespace blockhost::chain
