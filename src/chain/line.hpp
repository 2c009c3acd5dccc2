#pragma once
/// The line to a node: JSON-RPC over HTTP.

#include "base/interrupt.hpp"
#include "chain/node.hpp"

namespace blockhost::chain {

/// `url` may be a secret; messages name scheme, host and port. A signal ends waits with Error{interrupted}.
/// What is asked may be asked again where a connection broke: every question of ours bears that. An error
/// that the node tells is its answer, whatever HTTP's status says. The line throws as http::post_json does.
/// `interruption` outlives it.
Node::Line line_to(const std::string& url, const Interruption& interruption);

} // namespace blockhost::chain
