#pragma once
/// Calls of contracts and what they answer (Solidity, "Contract ABI Specification").

#include "chain/address.hpp"
#include "chain/bytes.hpp"

#include <variant>

namespace blockhost::chain::abi {

/// `bytes` and `string` are encoded alike.
using Argument = std::variant<Address, U256, Bytes, std::string>;

/// The data of a call: the selector of `signature` ("mint(address,bytes)") and its arguments, whose types the
/// caller has made agree.
Bytes call(std::string_view signature, const std::vector<Argument>& arguments);

/// A single word answered, of at least 32 bytes.
std::optional<U256> number_in(View answer);
std::optional<Address> address_in(View answer);

/// Why a call was reverted, in words: the text of Error(string), what a code of Panic(uint256) means, the
/// selector of an error of the contract's own; "without a reason" for no data. Printable.
std::string reason_of(View revert_data);

} // namespace blockhost::chain::abi
