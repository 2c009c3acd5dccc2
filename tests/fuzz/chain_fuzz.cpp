// SPDX-License-Identifier: MIT
/// What an EVM node answers and the journal of mints says, by the input's first character: a an answer to
/// question 1, r a receipt, b a block, e a mint under way, d a token that was minted, v (as hexadecimal) what
/// a reverted call returned, n a number, w an address.

#include "chain/evm/abi.hpp"
#include "chain/evm/answer.hpp"
#include "chain/evm/node.hpp"
#include "chain/fees.hpp"
#include "chain/ledger.hpp"
#include "chain/mint_call.hpp"

#include "base/text/text.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <boost/json/parse.hpp>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

constexpr std::size_t longest_words = 400;

bool is_plain(const std::string& words) {
    return words.size() < longest_words && text::printable(words, words.size()) == words;
}

void answer(std::string_view text) {
    (void)is_refusal(text);
    try {
        const auto result = result_in(text, 1, "the node");
        if (result.is_string()) (void)parse_quantity(result.get_string());
    } catch (const Refusal& refusal) {
        fuzz::check(is_plain(refusal.message()), "a refusal is told in a printable line");
        fuzz::check(is_plain(refusal.revert_reason().value_or("")), "a reason is told in a printable line");
        (void)meaning_of(refusal);
    } catch (const Error& error) {
        fuzz::check(is_plain(error.message()), "what is no answer is told in a printable line");
        fuzz::check(error.code() == Code::chain, "it is the chain's");
    }
}

std::optional<boost::json::value> parsed(std::string_view text) {
    boost::system::error_code failure;
    boost::json::value value = boost::json::parse(text, failure);
    return failure ? std::nullopt : std::optional(std::move(value));
}

void receipt(std::string_view text) {
    const auto value = parsed(text);
    if (!value) return;
    const auto read = receipt_in(*value);
    if (!read) return;
    for (const Log& log : read->logs) {
        fuzz::check(log.topics.size() <= 4, "a log has four topics at most");
        if (const auto token = minted_token(*read, log.contract, Address()))
            fuzz::check(parse_quantity(quantity(*token)) == token, "a token has one number");
    }
}

void block(std::string_view text) {
    const auto value = parsed(text);
    if (!value) return;
    const U256 cap = 500'000'000'000;
    const auto read = block_in(*value);
    if (!read) return;
    fuzz::check(gas_for(21'000, read->gas_limit) <= read->gas_limit, "a block holds what is sent");
    for (const auto& priority : {std::optional<U256>(), read->base_fee}) {
        const Fees fees = fees_for(read->base_fee, priority, cap);
        fuzz::check(fees.max <= cap && fees.priority <= fees.max, "fees are below the cap");
    }
}

void entry(std::string_view text) {
    const MintEntry read = mint_entry(std::string(text), "it");
    const MintEntry again = mint_entry(to_text(read), "it");
    fuzz::check(again.identity == read.identity && again.account == read.account &&
                    again.nonce == read.nonce && again.most == read.most && again.hash == read.hash &&
                    again.raw == read.raw && again.signed_at == read.signed_at,
                "an entry comes back as it was written");
}

void token(std::string_view text) {
    const MintedToken read = minted_token(std::string(text), "it");
    const MintedToken again = minted_token(to_text(read), "it");
    fuzz::check(again.hash == read.hash && again.token == read.token && again.block == read.block,
                "a token comes back as it was written");
}

void number(std::string_view text) {
    if (const auto bytes = parse_hex(text)) fuzz::check(hex(*bytes) == text::lower(text), "bytes come back");
    const auto read = parse_quantity(text);
    if (!read) return;
    fuzz::check(parse_quantity(quantity(*read)) == read && from_word(to_word(*read)) == *read,
                "a number comes back");
    (void)ether(*read), (void)gas_for(*read, *read);
}

void address(std::string_view text) {
    const Address read = Address::parse(text, "it");
    fuzz::check(Address::parse(read.str(), "it") == read, "an address comes back");
}

void target(std::string_view input) {
    const char which = fuzz::take_selector(input);
    fuzz::answered([&] {
        if (which == 'a') answer(input);
        if (which == 'r') receipt(input);
        if (which == 'b') block(input);
        if (which == 'e') entry(input);
        if (which == 'd') token(input);
        if (which == 'v')
            if (const auto data = parse_hex(input))
                fuzz::check(is_plain(abi::reason_of(*data)), "reasons are printable");
        if (which == 'n') number(input);
        if (which == 'w') address(input);
    });
}

} // namespace

FUZZ_TARGET(target)
