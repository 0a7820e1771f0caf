import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * A script that runs on the server as one atomic step. It answers `{ last parameter, result }`: the last parameter is
 * the number of the question, which `RedisConnection` adds and checks.
 */
export interface RedisScript {
  readonly text: string;
  /** SHA-1 of the text, by which the server knows a script that it has run before (EVALSHA). */
  readonly sha: string;
}

/**
 * Puts a family there unless it is there; returns whether it was put. Time as in family.lua: ARGV 1, '' for the
 * server's. Not allowed when the store is full: a new session waits, old ones go on.
 */
const CREATE = `
  if redis.call('EXISTS', KEYS[1]) == 1 then return { ARGV[#ARGV], 0 } end
  local now = tonumber(ARGV[1])
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  local ends = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], unpack(ARGV, 3, #ARGV - 1))
  redis.call('HSET', KEYS[1], 'ends', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], math.max(1, ends - now) + 60000)
  return { ARGV[#ARGV], 1 }`;

/**
 * Enters a family in its person's index. KEYS: epoch, index. ARGV: family, its end in ms, now in ms, life of the epoch in ms.
 * Returns the epoch and the ids in the index. The epoch is kept alive for as long as any family counts from it.
 */
const JOIN = `
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
  local left = math.max(1, ARGV[2] - ARGV[3]) + 60000
  if redis.call('PTTL', KEYS[2]) < left then redis.call('PEXPIRE', KEYS[2], left) end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return { ARGV[#ARGV], { redis.call('HGET', KEYS[1], 'n') or '0', unpack(redis.call('ZRANGE', KEYS[2], 0, -1)) } }`;

/**
 * Ends a person's families by one number. KEYS: epoch, index. ARGV: reason, excepted family or '', life in ms, lowest
 * number (of a replay; else 0). Returns the epoch and the ids in the index.
 */
const END_PERSON = `#!lua flags=allow-oom
  local before = redis.call('HMGET', KEYS[1], 'n', 'except', 'since')
  local n = tonumber(before[1] or '0') + 1
  local least = tonumber(ARGV[4])
  if least > 0 then
    if n > least then
      return { ARGV[#ARGV], { tostring(n - 1), unpack(redis.call('ZRANGE', KEYS[2], 0, -1)) } }
    end
    n = least
  end
  local since = before[2] == ARGV[2] and before[3] or tostring(n)
  redis.call('HSET', KEYS[1], 'n', tostring(n), 'reason', ARGV[1], 'except', ARGV[2], 'since', since)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { ARGV[#ARGV], { tostring(n), unpack(redis.call('ZRANGE', KEYS[2], 0, -1)) } }`;

/**
 * Enters a family in its shard of the index of all. KEYS: by end, by silence. ARGV: family, its end, its last
 * activity, now; all in ms.
 */
const ENROL = `
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
  local left = math.max(1, ARGV[2] - ARGV[4]) + 3600000
  for _, key in ipairs(KEYS) do
    if redis.call('PTTL', key) < left then redis.call('PEXPIRE', key, left) end
  end
  return { ARGV[#ARGV], 0 }`;

/** Takes a family out of its shard. KEYS: signed-in by end, anonymous by end, by silence. ARGV: family. */
const STRIKE = `#!lua flags=allow-oom
  for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end
  return { ARGV[#ARGV], 0 }`;

/** A person's epoch. KEYS: epoch. */
const EPOCH = `return { ARGV[#ARGV], redis.call('HMGET', KEYS[1], 'n', 'reason', 'except', 'since') }`;

/**
 * Writes an API key if it is at the expected version (0: not there at all; -1: any lower one), and tells everybody.
 * KEYS: the key. ARGV: expected version, push channel, node, lineage, then version, person, due time and sealed body.
 */
const WRITE_KEY = `#!lua flags=allow-oom
  local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
  local expected = tonumber(ARGV[1])
  if expected == -1 then
    if version >= tonumber(ARGV[5]) then return { ARGV[#ARGV], 0 } end
  elseif version ~= expected then
    return { ARGV[#ARGV], 0 }
  end
  redis.call('HSET', KEYS[1], 'version', ARGV[5], 'person', ARGV[6], 'due', ARGV[7], 'body', ARGV[8])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' key ' .. ARGV[4] .. ' -')
  return { ARGV[#ARGV], 1 }`;

/** Forgets an API key if it is at this version. KEYS: the key. ARGV: version, push channel, node, lineage. */
const FORGET_KEY = `#!lua flags=allow-oom
  if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return { ARGV[#ARGV], 0 } end
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' key ' .. ARGV[4] .. ' -')
  return { ARGV[#ARGV], 1 }`;

/**
 * Writes a record if it is at the expected version (0: not there at all; -1: any lower one), and tells everybody.
 * KEYS: the records of a kind. ARGV: expected version, push channel, node, kind, id, version, sealed body.
 */
const WRITE_RECORD = `#!lua flags=allow-oom
  local found = redis.call('HGET', KEYS[1], ARGV[5])
  local version = found and tonumber(string.match(found, '^%d+')) or 0
  local expected = tonumber(ARGV[1])
  if expected == -1 then
    if version >= tonumber(ARGV[6]) then return { ARGV[#ARGV], 0 } end
  elseif version ~= expected then
    return { ARGV[#ARGV], 0 }
  end
  redis.call('HSET', KEYS[1], ARGV[5], ARGV[6] .. ':' .. ARGV[7])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' record ' .. ARGV[4] .. ' -')
  return { ARGV[#ARGV], 1 }`;

/** Forgets a record if it is at this version. KEYS: the records of a kind. ARGV: version, push channel, node, kind, id. */
const FORGET_RECORD = `#!lua flags=allow-oom
  local found = redis.call('HGET', KEYS[1], ARGV[5])
  if not found or string.match(found, '^%d+') ~= ARGV[1] then return { ARGV[#ARGV], 0 } end
  redis.call('HDEL', KEYS[1], ARGV[5])
  redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' record ' .. ARGV[4] .. ' -')
  return { ARGV[#ARGV], 1 }`;

/** Scripts by name. Read once, when a store is opened. */
export function readScripts() {
  return {
    family: script(readFileSync(new URL('./family.lua', import.meta.url), 'utf8')),
    create: script(CREATE),
    join: script(JOIN),
    endPerson: script(END_PERSON),
    enrol: script(ENROL),
    strike: script(STRIKE),
    epoch: script(EPOCH),
    writeKey: script(WRITE_KEY),
    forgetKey: script(FORGET_KEY),
    writeRecord: script(WRITE_RECORD),
    forgetRecord: script(FORGET_RECORD),
  };
}

function script(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}
