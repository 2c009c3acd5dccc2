// SPDX-License-Identifier: MIT
#pragma once
/// How metrics prints its readings: JSON, NDJSON, and Prometheus' text format.

#include "metrics/compute.hpp"

#include <boost/json/object.hpp>
#include <span>
#include <string>

namespace blockhost::subcommands {

/// The seventeen keys in the contract's order: cpu_percent is a float with one decimal,
/// guest_agent_responsive a bool, state and state_reason are strings, all else integers.
boost::json::object metrics_object(const metrics::Metrics& metrics);
/// The same with "name" before them.
boost::json::object named_object(const metrics::Reading& reading);

/// Prometheus' text exposition format 0.0.4: each figure is a family with HELP and TYPE, in base units;
/// counters are the hypervisor's own, `_total`. An unknown figure has no sample; blockhost_vm_up has one for
/// every VM. Ends with a newline.
std::string prometheus_text(std::span<const metrics::Reading> readings);

} // namespace blockhost::subcommands
