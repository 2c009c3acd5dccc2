# SPDX-License-Identifier: MIT
"""/access: what one may ask and change about users, tokens, roles and rights."""

from .access import Token, names
from .errors import ApiError, denied, failed, invalid
from .registry import call


@call("GET", "/access/permissions")
def permissions(request, path=None, userid=None):
    access = request.world.access
    who = userid or request.who
    if userid and userid != request.who and not request.who == userid.partition("!")[0]:
        access.need(request.who, "/access", "Sys.Audit")
    return {path: access.privileges(who, path)} if path else access.all_permissions(who)


@call("GET", "/access/acl")
def acl(request):
    access = request.world.access
    audits = access.has(request.who, "/access", "Sys.Audit")
    return [{"path": entry.path, "type": entry.kind, "ugid": entry.who, "roleid": entry.role,
             "propagate": entry.propagate}
            for entry in access.acl if audits or access.has(request.who, entry.path, "Permissions.Modify")]


@call("PUT", "/access/acl")
def change_acl(request, path, roles, users=None, groups=None, tokens=None, delete=0, propagate=1):
    if groups:
        raise failed("groups are not served by this stand-in")
    request.world.access.revise_acl(path, names(roles), names(users) + names(tokens), delete, propagate)


@call("GET", "/access/roles")
def roles(request):
    builtin = ("Administrator", "NoAccess", "PVEAuditor")
    return [{"roleid": name, "privs": ",".join(sorted(held)), "special": int(name in builtin)}
            for name, held in request.world.access.roles.items()]


@call("GET", "/access/roles/{roleid}")
def role(request, roleid):
    held = request.world.access.roles.get(roleid)
    if held is None:
        raise failed(f"role '{roleid}' does not exist")
    return dict.fromkeys(held, 1)


@call("POST", "/access/roles")
def create_role(request, roleid, privs=""):
    if roleid in request.world.access.roles:
        raise failed(f"create role failed: role '{roleid}' already exists")
    request.world.access.add_role(roleid, names(privs))


def _user(request, userid):
    found = request.world.access.users.get(userid)
    if found is None:
        raise failed(f"no such user ('{userid}')")
    return found


def _token_row(made):
    return {"privsep": made.privsep, "expire": made.expire} | ({"comment": made.comment} if made.comment else {})


@call("GET", "/access/users")
def users(request, enabled=None, full=0):
    access = request.world.access
    shown = access.has_any(request.who, "/access/groups", "User.Modify", "Sys.Audit")
    return [{"userid": user.name, "enable": user.enable, "expire": user.expire,
             "realm-type": user.name.rpartition("@")[2]}
            for user in access.users.values() if (shown or user.name == request.who.partition("!")[0])
            and enabled in (None, user.enable)]


@call("POST", "/access/users")
def create_user(request, userid, **_):
    if userid in request.world.access.users:
        raise failed(f"create user failed: user '{userid}' already exists")
    request.world.access.add_user(userid)


@call("GET", "/access/users/{userid}")
def user(request, userid):
    found = _user(request, userid)
    return {"enable": found.enable, "expire": found.expire, "groups": [],
            "tokens": {name: _token_row(made) for name, made in found.tokens.items()}}


@call("GET", "/access/users/{userid}/token")
def tokens(request, userid):
    return [{"tokenid": name} | _token_row(made) for name, made in _user(request, userid).tokens.items()]


@call("GET", "/access/users/{userid}/token/{tokenid}")
def token(request, userid, tokenid):
    found = _user(request, userid).tokens.get(tokenid)
    if found is None:
        raise failed(f"no such token '{tokenid}' for user '{userid}'")
    return _token_row(found)


@call("POST", "/access/users/{userid}/token/{tokenid}")
def create_token(request, userid, tokenid, privsep=1, expire=0, comment=""):
    owner = _user(request, userid)
    if tokenid in owner.tokens:
        raise invalid(tokenid="Token already exists.")
    full = f"{userid}!{tokenid}"
    secret = request.world.access.add_token(full, privsep, expire)
    owner.tokens[tokenid] = Token(secret, privsep, expire, comment)
    return {"full-tokenid": full, "value": secret, "info": _token_row(owner.tokens[tokenid])}


@call("POST", "/access/ticket")
@call("PUT", "/access/password")
def no_tickets(request, **_):
    """Tokens are refused before; there is nobody else."""
    raise denied() if request.who else ApiError(401, "No ticket")
