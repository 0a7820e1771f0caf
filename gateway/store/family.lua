#!lua flags=allow-oom
-- One session family: the rules of gateway/session/rotate.ts, word for word, run where the family is kept.
-- test/store/family-script.test.ts holds the two together. allow-oom: a full store must still end sessions.
--
-- KEYS[1] the family's hash
-- ARGV    1 operation, 2 time in ms or '' for the server's own clock (given by tests only), 3 push channel,
--         4 node that asks, 5 the family's id; from 6 on what the operation takes; last the question's number
local UNADOPTED_LIMIT, MEMBER_LIMIT = 12, 8
local KEPT_MS = 60000
local key, op, id = KEYS[1], ARGV[1], ARGV[5]

local function clock()
  if ARGV[2] ~= '' then return tonumber(ARGV[2]) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock()

local function read()
  local row = redis.call('HMGET', key, 'alive', 'reason', 'generation', 'confirmed', 'seen', 'ends', 'unadopted',
    'regressed', 'ids')
  if not row[1] then return nil end
  local ids = cjson.decode(row[9])
  local state = {
    alive = row[1] == '1', reason = row[2], generation = tonumber(row[3]), confirmed = tonumber(row[4]),
    seen = tonumber(row[5]), ends = tonumber(row[6]), unadopted = tonumber(row[7]), regressed = row[8] == '1',
    active = ids[1], candidates = ids[2], previous = ids[3],
  }
  -- Dead and past its lifetime a family is as good as forgotten.
  if not state.alive and state.ends <= now then return nil end
  return state
end

local function whole(number) return string.format('%.0f', number) end

-- cjson writes an empty list as {}, and times may not lose a digit: the text is made here.
local function list(entries)
  local texts = {}
  for index, entry in ipairs(entries) do
    local parts = {}
    for place, value in ipairs(entry) do
      parts[place] = type(value) == 'number' and whole(value) or cjson.encode(value)
    end
    texts[index] = '[' .. table.concat(parts, ',') .. ']'
  end
  return '[' .. table.concat(texts, ',') .. ']'
end

local function fields(state)
  return {
    state.alive and '1' or '0', state.reason, whole(state.generation), whole(state.confirmed), whole(state.seen),
    whole(state.ends), whole(state.unadopted), state.regressed and '1' or '0',
    '[' .. list(state.active) .. ',' .. list(state.candidates) .. ',' .. list(state.previous) .. ']',
  }
end

local function publish(kind, reason)
  redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' ' .. kind .. ' ' .. id .. ' ' .. reason)
end

local function write(state)
  local f = fields(state)
  redis.call('HSET', key, 'alive', f[1], 'reason', f[2], 'generation', f[3], 'confirmed', f[4], 'seen', f[5],
    'unadopted', f[7], 'regressed', f[8], 'ids', f[9])
  if state.alive then return end
  redis.call('HDEL', key, 'person', 'profile', 'jar', 'version')
  publish('end', state.reason)
end

local function finish(state, reason)
  state.alive, state.reason, state.active, state.candidates, state.previous = false, reason, {}, {}, {}
end

local function find(entries, hash)
  for index, entry in ipairs(entries) do
    if entry[1] == hash then return entry, index end
  end
end

local function filter(entries, keep)
  local kept = {}
  for _, entry in ipairs(entries) do
    if keep(entry) then kept[#kept + 1] = entry end
  end
  return kept
end

local function newest(entries, limit)
  while #entries > limit do table.remove(entries, 1) end
  return entries
end

local function monotone(state)
  local latest = math.max(now, state.seen, state.confirmed)
  for _, member in ipairs(state.active) do latest = math.max(latest, member[3]) end
  for _, candidate in ipairs(state.candidates) do latest = math.max(latest, candidate[2]) end
  return latest
end

local function expired(state, at, idle)
  if at >= state.ends then return 'lifetime' end
  if at - state.seen >= idle then return 'idle' end
end

local function still_known(state, at, limits)
  local forgiving = limits.crash and not state.regressed
  return filter(state.previous, function(entry)
    return at - entry[2] <= limits.grace or (forgiving and entry[2] == state.confirmed)
  end)
end

local function use_active(state, at, used, limits)
  used[3] = at
  for _, other in ipairs(state.active) do
    if other ~= used and other[3] > used[2] + limits.grace and used[3] > other[2] + limits.grace then
      finish(state, 'fork')
      return 'fork'
    end
  end
  if at - state.confirmed > limits.grace then
    state.candidates = filter(state.candidates, function(entry) return find(state.active, entry[3]) end)
  end
  state.previous = still_known(state, at, limits)
  return at - state.confirmed >= limits.rotate and 'ok_due' or 'ok'
end

local function confirm(state, at, hash, limits)
  local previous = {}
  for _, member in ipairs(state.active) do previous[#previous + 1] = { member[1], at } end
  for _, entry in ipairs(state.previous) do
    if at - entry[2] <= limits.grace then previous[#previous + 1] = entry end
  end
  while #previous > MEMBER_LIMIT do table.remove(previous) end
  state.generation, state.confirmed, state.active = state.generation + 1, at, { { hash, at, at } }
  state.previous, state.unadopted = previous, 0
  return 'ok_confirm'
end

local function use_candidate(state, at, hash, parent, place, limits)
  table.remove(state.candidates, place)
  if find(state.active, parent) then return confirm(state, at, hash, limits) end
  state.active[#state.active + 1] = { hash, at, at }
  newest(state.active, MEMBER_LIMIT)
  state.previous, state.unadopted = still_known(state, at, limits), 0
  return 'ok_sibling'
end

local function use_superseded(state, at, hash, limits)
  local previous = still_known(state, at, limits)
  local entry = find(previous, hash)
  if not entry then
    -- An id of the seconds that a failover lost: proof of issue, unknown here, and nothing was confirmed since.
    if limits.adopt > 0 and state.confirmed <= limits.adopt then return confirm(state, at, hash, limits) end
    finish(state, 'reuse')
    return 'reuse'
  end
  if at - entry[2] <= limits.grace then
    state.previous = previous
    return 'ok_inflight'
  end
  for _, member in ipairs(state.active) do
    if at - member[3] <= limits.grace then
      finish(state, 'reuse')
      return 'reuse'
    end
  end
  state.active, state.candidates, state.previous = { { hash, at, at } }, {}, {}
  state.unadopted, state.regressed = 0, true
  return 'ok_regress'
end

local function use(state, hash, passive, limits)
  if not state.alive then return 'dead' end
  local at = monotone(state)
  local over = expired(state, at, limits.idle)
  if over then
    finish(state, over)
    return 'expired_' .. over
  end
  local outcome
  local used = find(state.active, hash)
  local candidate, place = find(state.candidates, hash)
  if used then outcome = use_active(state, at, used, limits)
  elseif candidate then outcome = use_candidate(state, at, hash, candidate[3], place, limits)
  else outcome = use_superseded(state, at, hash, limits) end
  if state.alive and not passive then state.seen = at end
  write(state)
  return outcome
end

local function issue(state, hash, child, limits)
  local at = monotone(state)
  if not state.alive or expired(state, at, limits.idle) then return 'no' end
  if at - state.confirmed < limits.rotate or not find(state.active, hash) then return 'no' end
  for _, entry in ipairs(state.candidates) do
    if entry[3] == hash and at - entry[2] < limits.grace / 4 then return 'no' end
  end
  if state.unadopted + 1 > UNADOPTED_LIMIT then
    finish(state, 'stubborn')
    return 'stubborn'
  end
  state.candidates[#state.candidates + 1] = { child, at, hash }
  newest(state.candidates, UNADOPTED_LIMIT)
  state.unadopted = state.unadopted + 1
  return 'set'
end

-- rotate, grace, idle, crash_grace, adopt: from the given place on
local function limits_at(place)
  return {
    rotate = tonumber(ARGV[place]), grace = tonumber(ARGV[place + 1]), idle = tonumber(ARGV[place + 2]),
    crash = ARGV[place + 3] == '1', adopt = tonumber(ARGV[place + 4]),
  }
end

local SEALED = { 'person', 'created', 'profile', 'jar', 'version', 'epoch' }

local function answer(outcome, state, sealed)
  local reply = { outcome, unpack(fields(state)) }
  for place = 1, #SEALED do reply[10 + place] = sealed and sealed[place] or false end
  return reply
end

local operations = {}

function operations.show(state) return answer('', state, redis.call('HMGET', key, unpack(SEALED))) end

-- hash, passive, limits, deadline
function operations.use(state)
  local sealed = redis.call('HMGET', key, unpack(SEALED))
  -- A question that was held up on its way, by a network or a server that stood still: whoever asked has given up, and
  -- an id that was good then is superseded now. It proves no theft.
  local deadline = tonumber(ARGV[13])
  if deadline and now > deadline then return answer('late', state, sealed) end
  local outcome = use(state, ARGV[6], ARGV[7] == '1', limits_at(8))
  if outcome:sub(1, 8) == 'expired_' then write(state) end
  if outcome == 'ok_confirm' or outcome == 'ok_sibling' or outcome == 'ok_regress' then publish('stale', '-') end
  return answer(outcome, state, sealed)
end

-- hash, child, limits
function operations.issue(state)
  local outcome = issue(state, ARGV[6], ARGV[7], limits_at(8))
  if outcome ~= 'no' then write(state) end
  return answer(outcome, state)
end

-- reason; an end that is already there is written again, so that WAIT behind it covers the first writing too
operations['end'] = function(state)
  if not state.alive then
    redis.call('HSET', key, 'alive', '0')
    return 0
  end
  finish(state, ARGV[6])
  write(state)
  return 1
end

-- idle
function operations.expire(state)
  local over = state.alive and expired(state, monotone(state), tonumber(ARGV[6]))
  if not over then return { state.alive and '' or 'dead', whole(state.seen), whole(state.ends) } end
  finish(state, over)
  write(state)
  -- Past its lifetime nobody can present an id of it any more.
  if over == 'lifetime' then redis.call('PEXPIRE', key, KEPT_MS) end
  return { over, whole(state.seen), whole(state.ends) }
end

-- time of the last activity
function operations.touch(state)
  local seen = math.min(tonumber(ARGV[6]), now)
  if state.alive and state.seen < seen then redis.call('HSET', key, 'seen', whole(seen)) end
  return 0
end

-- sealed jar, expected version
function operations.jar(state)
  local version = tonumber(redis.call('HGET', key, 'version') or '0')
  if not state.alive or version ~= tonumber(ARGV[7]) then return 0 end
  redis.call('HSET', key, 'jar', ARGV[6], 'version', whole(version + 1))
  publish('stale', '-')
  return 1
end

-- epoch: the family is excepted from the end of its person's others
function operations.raise(state)
  if state.alive then redis.call('HSET', key, 'epoch', ARGV[6]) end
  return 0
end

-- Replayed after a failover. None of it ever ends a family. Several nodes replay, in no order: what a node was told
-- of a generation is proof that the family had reached it, whether or not the steps before are here yet.
local function catch_up(state, hash, at, generation, grace)
  if find(state.active, hash) then return true end
  if state.generation > generation or (state.generation == generation and state.confirmed > at) then return false end
  local _, place = find(state.candidates, hash)
  if place then table.remove(state.candidates, place) end
  at = math.max(at, state.confirmed)
  if state.generation < generation then
    confirm(state, at, hash, { grace = grace })
    state.generation = generation
  else
    state.active[#state.active + 1] = { hash, at, at }
    newest(state.active, MEMBER_LIMIT)
  end
  return true
end

-- parent, time of the issue, generation, grace, child
function operations.reissue(state)
  local child, issued = ARGV[10], tonumber(ARGV[7])
  if not state.alive or find(state.active, child) or find(state.candidates, child) or find(state.previous, child) then
    return 0
  end
  if not catch_up(state, ARGV[6], issued, tonumber(ARGV[8]), tonumber(ARGV[9])) then return 0 end
  state.candidates[#state.candidates + 1] = { child, issued, ARGV[6] }
  newest(state.candidates, UNADOPTED_LIMIT)
  write(state)
  return 1
end

-- hash, time, generation, grace
function operations.reconfirm(state)
  if not state.alive then return 0 end
  if catch_up(state, ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])) then write(state) end
  return 1
end

-- sealed jar, version
function operations.rejar(state)
  local version = tonumber(redis.call('HGET', key, 'version') or '0')
  if not state.alive or version >= tonumber(ARGV[7]) then return 0 end
  redis.call('HSET', key, 'jar', ARGV[6], 'version', ARGV[7])
  return 1
end

local state = read()
-- The last parameter goes back with every answer, so that nobody takes it for the answer to another question.
return { ARGV[#ARGV], state and operations[op](state) or false }
