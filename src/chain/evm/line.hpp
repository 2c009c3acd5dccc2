// SPDX-License-Identifier: MIT
#pragma once
/// How requests reach a node: JSON-RPC over HTTP.

#include "base/interrupt.hpp"
#include "base/time.hpp"
#include "chain/evm/node.hpp"

namespace blockhost::chain {

/// `url` may be a secret: messages name its scheme, host and port only. A signal ends waits with
/// Error{interrupted}. Requests may be repeated where a connection broke: all of them bear that. An error
/// that the node tells is its answer, whatever HTTP's status says. No request lasts beyond `end`, or a second
/// once that has passed. The line throws as http::post_json does. `interruption` outlives it.
Node::Line line_to(const std::string& url, const Interruption& interruption, const Deadline& end);

} // namespace blockhost::chain
