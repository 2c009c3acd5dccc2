// SPDX-License-Identifier: MIT
#pragma once
/// Calls of contracts, and their answers (Solidity, "Contract ABI Specification").

#include "chain/evm/address.hpp"
#include "chain/evm/bytes.hpp"

#include <variant>

namespace blockhost::chain::abi {

/// `bytes` and `string` are encoded alike.
using Argument = std::variant<Address, U256, Bytes, std::string>;

/// The data of a call: the selector of `signature` ("mint(address,bytes)") and the arguments. The caller sees
/// to it that their types agree with the signature.
Bytes call(std::string_view signature, const std::vector<Argument>& arguments);

/// The first word of an answer; nothing when it has fewer than 32 bytes.
std::optional<U256> number_in(View answer);
std::optional<Address> address_in(View answer);

/// Why a call was reverted, in printable words: the text of Error(string), the meaning of a code of
/// Panic(uint256), or the selector of the contract's own error; "without a reason" for no data.
std::string reason_of(View revert_data);

} // namespace blockhost::chain::abi
