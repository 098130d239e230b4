"""The host names that the server accepts. Protects against DNS rebinding, where a foreign name resolves to our address."""

import ipaddress
import socket

WILDCARDS = ("0.0.0.0", "::")


def normal_host(host: str) -> str:
    """Normalises a host name: lower case, without port, brackets or final dot; addresses in their short form."""
    host = host.strip().lower()
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        if rest and not (rest.startswith(":") and rest[1:].isdecimal()):
            return ""
        host = name
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if port and not port.isdecimal():
            return ""
    host = host.removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def own_names(listening_on: str) -> set[str]:
    """Returns the names of this machine that are accepted in addition to those in the settings."""
    host = normal_host(listening_on)
    if host in WILDCARDS:
        name = normal_host(socket.gethostname())
        return {name, f"{name}.local"} if name else set()
    return {host}


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
