// SPDX-License-Identifier: MIT
#pragma once
/// Recursive Length Prefix, writing only (Yellow Paper, appendix B).

#include "chain/evm/bytes.hpp"

namespace blockhost::chain::rlp {

/// Each returns an encoded item.
Bytes text(View bytes);
/// Big endian without leading zeros; 0 is the empty text.
Bytes number(const U256& number);
/// A list of `items`, which are encoded already.
Bytes list(const std::vector<Bytes>& items);

} // namespace blockhost::chain::rlp
