// SPDX-License-Identifier: MIT
#pragma once
/// Keccak-256 as Ethereum uses it: with the original padding, not FIPS 202's SHA3-256 (Yellow Paper, "KEC").

#include "chain/evm/bytes.hpp"

namespace blockhost::chain {

Hash keccak256(View bytes);
Hash keccak256(std::string_view text);

} // namespace blockhost::chain
