// SPDX-License-Identifier: MIT
#pragma once
/// Users and roles of a cluster: a host reads what is wanted of it and writes what it tells, and that is all;
/// an operator reads and writes what there is of all hosts.

#include "hub/etcd/gateway.hpp"

namespace blockhost::hub::etcd {

/// Where the cluster lets everybody do everything: makes the user and role "root" with `root`'s password, and
/// from then on nobody does anything without a user. Whether it was so.
bool require_authentication(const Access& root, const std::function<void()>& check);

/// Of one user.
enum class Given { made, changed, was_there };
struct Wish {
    std::string user;
    bool is_operator = false;
    std::string prefix;  ///< of all keys
    bool renews = false; ///< the password of one that is there, whose tokens end with it
};
/// Makes role and user as they should be; a repeat makes what is missing. A new password goes to `keep`
/// first, then to the cluster. An existing user keeps its password, unless the wish renews it.
Given give(Gateway& root, const Wish& wish, const std::function<void(const std::string& password)>& keep);

} // namespace blockhost::hub::etcd
