"""Which addresses the portal may connect to for a name that somebody entered in the browser.

Otherwise such a name could make the portal call what only it can reach: the metadata service of a cloud, or another
program in its network.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from portal.core.rules.transport.loopback import is_loopback

_METADATA = (ip_address("fd00:ec2::254"), ip_address("100.100.100.200"), ip_address("168.63.129.16"))
"""Those of clouds that are not link-local, as 169.254.169.254 is."""
_NAT64 = IPv6Network("64:ff9b::/96")


def is_forbidden(address: str) -> bool:
    """Whether nothing that the portal needs can be there. Mail servers often have private addresses, or are on this
    machine, whose ::1 lies in a reserved network.
    """
    ip = _parse(address)
    return ip.is_link_local or ip.is_multicast or (ip.is_reserved and not ip.is_loopback) or ip in _METADATA


def is_permitted_for_webhook(host: str, address: str, named_hosts: Collection[str]) -> bool:
    """If the operator names hosts, only they may be called, and only they may have a private address."""
    if is_forbidden(address) or (named_hosts and host.lower() not in named_hosts):
        return False
    ip = _parse(address)
    return ip.is_global or bool(named_hosts) or (ip.is_loopback and is_loopback(host))


def _parse(address: str) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6 is the IPv4 address, as is one to which a gateway of the network translates."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip
    return ip.ipv4_mapped or ip.sixtofour or (IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else ip)
