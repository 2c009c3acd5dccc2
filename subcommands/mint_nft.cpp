// SPDX-License-Identifier: MIT
/// mint-nft: mints a customer's access NFT, for hosts whose engine mints none itself.

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "chain/evm/line.hpp"
#include "chain/mint.hpp"
#include "config/config.hpp"
#include "http/rules.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;

constexpr std::string_view default_confirmations = "1", default_timeout = "600";
constexpr std::size_t longest_text = 64 << 10;

chain::Bytes user_encrypted(const cli::Call& call) {
    const std::string text = call.arguments.text("user-encrypted").value_or("");
    const auto bytes = text.empty() ? chain::Bytes{} : chain::parse_hex(text);
    if (!bytes)
        throw Error(Code::invalid, "--user-encrypted: '" + text::printable(text, 60) + "' is not hexadecimal",
                    "write 0x and two digits a byte");
    if (bytes->size() > longest_text) throw Error(Code::invalid, "--user-encrypted is longer than 64 KiB");
    return *bytes;
}

/// --machine-id, which only the older form has, decides which of the two functions is called.
chain::MintCall mint_call(const cli::Call& call) {
    const auto recipient = chain::Address::parse(*call.arguments.text("owner-wallet"), "--owner-wallet");
    if (recipient.is_zero())
        throw Error(Code::invalid, "--owner-wallet: the zero address owns nothing",
                    "name the customer's wallet");
    const auto machine = call.arguments.text("machine-id"), secret = call.arguments.text("public-secret");
    if (secret && !machine)
        throw Error(Code::usage, "--public-secret goes with --machine-id",
                    "the two belong to the older contract");
    if (!machine) return chain::MintCall::current(recipient, user_encrypted(call));
    call.printer.about_vm(VmName(*machine).str());
    if (secret && secret->size() > longest_text)
        throw Error(Code::invalid, "--public-secret is longer than 64 KiB");
    return chain::MintCall::legacy(recipient, user_encrypted(call), secret.value_or(""));
}

std::int64_t number(const cli::Call& call, std::string_view option, std::string_view fallback) {
    return call.arguments.integer(option).value_or(*text::parse_int(fallback));
}

chain::MintOrder order_of(const cli::Call& call, const ChainConfig& config) {
    const auto gwei = static_cast<std::uint64_t>(
        call.arguments.integer("max-fee").value_or(static_cast<std::int64_t>(config.max_fee_gwei)));
    return {.contract = chain::Address::parse(config.nft_contract, "blockchain.nft_contract"),
            .call = mint_call(call),
            .chain_id = config.chain_id,
            .fee_cap = chain::U256(gwei) * chain::wei_a_gwei,
            .confirmations = static_cast<std::uint64_t>(number(call, "confirmations", default_confirmations)),
            .patience = std::chrono::seconds(number(call, "timeout", default_timeout)),
            .again = call.arguments.has("once") ? chain::MintOrder::Again::same_answer
                                                : chain::MintOrder::Again::another_mint};
}

bj::object plan_json(const chain::MintPlan& plan) {
    const auto unless_signed = [&](bj::value value) { return plan.unfinished ? bj::value() : value; };
    return {{"status", "dry-run"},
            {"chain_id", plan.identity.chain_id},
            {"contract", plan.identity.contract.str()},
            {"recipient", plan.identity.recipient.str()},
            {"from", plan.account.str()},
            {"nonce", plan.nonce},
            {"gas", unless_signed(plan.gas)},
            {"max_fee_per_gas", unless_signed(bj::value(plan.fees.max.str()))},
            {"max_priority_fee_per_gas", unless_signed(bj::value(plan.fees.priority.str()))},
            {"most_wei", plan.most.str()},
            {"data", chain::hex(plan.identity.data)},
            {"continues", plan.unfinished ? bj::value(chain::hex(plan.unfinished->hash)) : nullptr}};
}

void print_plan(const cli::Call& call, const chain::MintPlan& plan, std::string_view signature) {
    if (call.arguments.has("json")) {
        call.printer.answer(json::python_line(plan_json(plan)));
        return;
    }
    const auto say = [&](const std::string& line) { call.printer.answer("[DRY RUN] " + line); };
    if (plan.unfinished) {
        say(fmt::format("Would continue: transaction {}, which an interrupted call signed",
                        chain::hex(plan.unfinished->hash)));
        say(fmt::format("nonce {}: {} at most", plan.nonce, chain::ether(plan.most)));
    } else {
        say(fmt::format("Would execute: {} at {} on chain {} for {}, from {}, key 0x***REDACTED***",
                        signature, plan.identity.contract.str(), plan.identity.chain_id,
                        plan.identity.recipient.str(), plan.account.str()));
        say(fmt::format("nonce {}, {} gas at up to {} ({} of it priority): {} at most", plan.nonce, plan.gas,
                        chain::gwei(plan.fees.max), chain::gwei(plan.fees.priority),
                        chain::ether(plan.most)));
    }
    say("data " + chain::hex(plan.identity.data));
}

std::string_view to_string(chain::Minted::How how) {
    switch (how) {
    case chain::Minted::How::continued:
        return "continued";
    case chain::Minted::How::earlier:
        return "earlier";
    case chain::Minted::How::now:
        break;
    }
    return "now";
}

void print_minted(const cli::Call& call, const chain::Minted& minted) {
    const std::string token = minted.token.str();
    if (minted.how == chain::Minted::How::earlier)
        call.printer.warn(fmt::format("minted before, in block {} by transaction {}: nothing is sent",
                                      minted.block, chain::hex(minted.transaction)));
    if (call.arguments.has("json")) {
        call.printer.answer(json::python_line(bj::object{{"status", "ok"},
                                                         {"token_id", token},
                                                         {"minted", to_string(minted.how)},
                                                         {"transaction", chain::hex(minted.transaction)},
                                                         {"block", minted.block},
                                                         {"chain_id", minted.identity.chain_id},
                                                         {"contract", minted.identity.contract.str()},
                                                         {"recipient", minted.identity.recipient.str()}}));
    } else {
        call.printer.answer(token);
        call.printer.answer("BLOCKHOST_RESULT: " + token);
    }
    call.printer.flush_answer();
}

int run(cli::Call& call) {
    if (call.mock)
        throw Error(Code::invalid, "there is no simulated chain",
                    "--dry-run asks the node and sends nothing");
    const ChainConfig config = read_chain_config(call.paths);
    const chain::MintOrder order = order_of(call, config);
    if (const auto objection = http::objection_to(config.rpc_url, http::Schemes::http_too);
        !objection.empty())
        throw Error(Code::config, "blockchain.rpc_url " + objection,
                    "name an https:// or http:// URL without user and password in web3-defaults.yaml");
    if (http::is_unprotected(config.rpc_url))
        call.printer.warn("blockchain.rpc_url is http to another host: answers may be changed on their way");
    const Interruption interruption;
    chain::Node node(chain::line_to(config.rpc_url, interruption, Deadline::in(order.patience)));
    const chain::KeyFile key(config.key_file, chain::key_keepers(call.paths.state));
    const chain::MintTools tools{node, key, call.paths.mints, call.printer, interruption};
    if (call.arguments.has("dry-run"))
        print_plan(call, chain::plan_mint(tools, order), order.call.signature);
    else
        chain::mint(tools, order, [&](const chain::Minted& minted) { print_minted(call, minted); });
    return 0;
}

std::vector<cli::Option> options() {
    using Kind = cli::Option::Kind;
    return {{.name = "owner-wallet",
             .kind = Kind::text,
             .value = "ADDRESS",
             .help = "the customer's wallet, who gets the token",
             .presence = cli::Option::Presence::required},
            {.name = "user-encrypted",
             .kind = Kind::text,
             .value = "HEX",
             .help = "what the customer shall decrypt"},
            {.name = "machine-id",
             .kind = Kind::text,
             .value = "NAME",
             .help = "mint by the older contract's function"},
            {.name = "public-secret",
             .kind = Kind::text,
             .value = "TEXT",
             .help = "with --machine-id: what the customer signed"},
            {.name = "once", .help = "answer with the earlier token where the same was minted before"},
            {.name = "confirmations",
             .kind = Kind::integer,
             .value = "N",
             .default_text = default_confirmations,
             .min = 1,
             .max = 1000,
             .help = "blocks to wait for, the token's own included"},
            {.name = "max-fee",
             .kind = Kind::integer,
             .value = "GWEI",
             .min = 1,
             .max = 1'000'000,
             .help = "most per gas; else blockchain.max_fee_gwei, else 500"},
            {.name = "timeout",
             .kind = Kind::integer,
             .value = "SECONDS",
             .default_text = default_timeout,
             .min = 1,
             .max = 86'400,
             .help = "how long to wait for the chain"},
            {.name = "dry-run", .help = "show what would be sent, sign and send nothing"},
            {.name = "json", .help = "print a JSON object"}};
}

constexpr std::string_view details =
    "Calls mint(address,bytes) of the contract that web3-defaults.yaml names, signed with the key whose file "
    "it "
    "names; with --machine-id the older mint(address,bytes,string,string,string,string,uint256).\n\n"
    "A call that was interrupted, by whatever, is continued by the next one for the same wallet and data: it "
    "asks "
    "the chain for the transaction that was signed, and sends the very same one again if need be. A call "
    "that came "
    "to its end is history: the next one for the same wallet mints another token, unless --once is given.";

} // namespace

cli::Row mint_nft_row() {
    return {
        .verb = "mint-nft",
        .foreign_name = "blockhost-mint-nft",
        .summary = "mint the access NFT of a customer",
        .details = details,
        .options = options(),
        .output = {.text = "two lines, the token's number and BLOCKHOST_RESULT: with it",
                   .json_keys = {"status", "token_id", "minted", "transaction", "block", "chain_id",
                                 "contract", "recipient"},
                   .json_call = "--json",
                   .unheard = "the token is minted all the same; a repeat of the call mints no other and "
                              "answers with its id"},
        .examples = {{"--owner-wallet 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 --dry-run",
                      "what would be sent"},
                     {"--owner-wallet 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 --user-encrypted 0x00ff",
                      "mint a token"}},
        .needs = cli::Needs::config,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[mint-nft] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
