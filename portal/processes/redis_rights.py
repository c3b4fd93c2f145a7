"""What the portal's user may do in Redis or Valkey: the least that its job path needs (ADR 66)."""

_PATTERNS = ("resetkeys", "~rq:*", "~portal:*", "resetchannels", "&rq:pubsub:*")
"""Keys and channels."""
_COMMANDS = (
    # connections: to say who we are, to choose a numbered database, and to look at memory before work is lost
    "ping", "select", "client|setname", "client|setinfo", "client|info", "info",
    # values and their expiry
    "get", "set", "del", "exists", "expire", "persist",
    # jobs
    "hget", "hset", "hdel", "hmget", "hgetall", "hexists", "hincrby", "hincrbyfloat",
    # queues
    "lpush", "rpush", "lpop", "blpop", "lmove", "blmove", "lrem", "llen", "lpos", "lrange",
    # workers and registries
    "sadd", "srem", "scard", "smembers",
    "zadd", "zrem", "zcard", "zcount", "zscore", "zrange", "zrevrange", "zrangebyscore", "zpopmin",
    "zremrangebyscore", "zremrangebyrank",
    # results of jobs
    "xadd", "xlen", "xread", "xrevrange",
    # what RQ tells its workers to do; nothing of ours tells them
    "subscribe", "unsubscribe",
    # several of these at once; a script has no more rights than its caller
    "watch", "unwatch", "multi", "exec", "discard", "eval", "evalsha", "script|load",
)  # fmt: skip

REDIS_RIGHTS = (*_PATTERNS, "-@all", *(f"+{command}" for command in _COMMANDS))
"""The rules of an access list, in their order; who may sign in is not among them."""
