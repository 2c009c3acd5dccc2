#pragma once
/// How metrics prints its readings: JSON, NDJSON, and Prometheus' text format.

#include "lifecycle/metrics.hpp"

#include <boost/json/object.hpp>
#include <span>
#include <string>

namespace blockhost::subcommands {

/// The sixteen keys in the contract's order: cpu_percent is a float with one decimal, guest_agent_responsive
/// a bool, state a string, all else integers.
boost::json::object metrics_object(const Metrics& metrics);
/// The same with "name" before them.
boost::json::object named_object(const Reading& reading);

/// Prometheus' text exposition format 0.0.4: a family for each figure with HELP and TYPE, in base units;
/// counters are the hypervisor's own, `_total`. What is not known has no sample; blockhost_vm_up is there for
/// every VM. Ends with a newline.
std::string prometheus_text(std::span<const Reading> readings);

} // namespace blockhost::subcommands
