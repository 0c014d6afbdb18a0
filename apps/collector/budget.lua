-- The budget of one token at one GitLab, shared by all processes: one hash of ours (KEYS[1]) and the set of
-- the processes that were here lately (KEYS[2]). Times are milliseconds of this server's clock, or of `now`.
--
-- Pace is a generic cell rate algorithm. With a burst of b, a window of w and a limit of n, requests leave
-- w' / (n - b - 1) apart, so that no window can hold more than n; w' is w and a little more, since requests
-- do not arrive exactly as they leave.
local key, processes = KEYS[1], KEYS[2]
local ask = cjson.decode(ARGV[2])
local now = ask.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local minute, unlimited = ask.minute, math.huge
local STRAGGLING, BLIND_FLOOR, IDLE = 1.015, 60, 7200000

local function get(name)
  return tonumber(redis.call('HGET', key, name)) or 0
end

local function set(name, value)
  redis.call('HSET', key, name, string.format('%.3f', value))
end

-- Counts of the recent past: a ring of numbered intervals, each with the interval's own number beside it.
local SECONDS = {width = 5000, slots = 24, back = 12}    -- 24: grants may lie in the future
local MINUTES = {width = 300000, slots = 13, back = 12}

local function bump(name, ring, at, amount)
  local interval = math.floor(at / ring.width)
  local place = name .. '#' .. interval % ring.slots
  if get(place .. '@') ~= interval then
    redis.call('HSET', key, place .. '@', string.format('%.0f', interval), place, '0')
  end
  redis.call('HINCRBY', key, place, math.floor(amount))
end

local function total(name, ring)
  local interval, sum = math.floor(now / ring.width), 0
  for back = 0, ring.back - 1 do
    local place = name .. '#' .. (interval - back) % ring.slots
    if get(place .. '@') == interval - back then sum = sum + get(place) end
  end
  return sum
end

-- What is known of a limit: GitLab's word, what its headers said lately, what it bore when it refused blindly.
local function most(limit)
  local known = limit.most > 0 and limit.most or unlimited
  if get(limit.name .. '.told until') > now then known = math.min(known, get(limit.name .. '.told')) end
  local learned = get(limit.name .. '.learned')
  if learned > 0 then
    local minutes = (now - get(limit.name .. '.learned at')) / minute
    if minutes < 60 then known = math.min(known, learned * 1.1 ^ math.max(0, minutes - 5)) end
  end
  return known
end

local function spacing(limit, known)
  local burst = known * limit.burst
  local apart = limit.window * STRAGGLING / math.max(known - burst - 1, known / 2)
  return apart, apart * burst
end

local function closed_again()
  redis.call('HDEL', key, 'fails', 'open until', 'open for', 'probe until', 'cause')
end

-- For how long no request may leave at all, nil where nothing speaks against it. How a probe ends is worth
-- asking for soon, however long it may take.
local function broken()
  local open_until, probe_until = get('open until'), get('probe until')
  if open_until > now then return open_until - now end
  if probe_until > now then return math.min(probe_until - now, ask.soon) end
  return nil
end

local commands = {}

function commands.reserve()
  redis.call('ZADD', processes, now, ask.process)
  redis.call('ZREMRANGEBYSCORE', processes, '-inf', now - 10 * minute)
  redis.call('PEXPIRE', processes, IDLE)
  local count = redis.call('ZCARD', processes)
  if ask.fine_since and now - ask.fine_since > get('failed at') and get('open until') == 0 then
    redis.call('HDEL', key, 'fails')
  end
  for outcome, count in pairs(ask.calls or {}) do redis.call('HINCRBY', key, 'calls:' .. outcome, count) end
  local wait = broken()
  if wait then return {'broken', math.ceil(wait), 0, count, 0, redis.call('HGET', key, 'cause') or ''} end
  local at, apart, general = now + ask.after, {}, 0
  for place, limit in ipairs(ask.limits) do
    local known = most(limit)
    at = math.max(at, get(limit.name .. '.pause'))
    if known < unlimited then
      local gap, tolerance = spacing(limit, known)
      apart[place] = gap
      at = math.max(at, get(limit.name .. '.next') - tolerance)
      if place == 1 then general = known end
    end
  end
  if at - now > ask.patience then return {'late', math.ceil(at - now), general, count, 0, ''} end
  for place, limit in ipairs(ask.limits) do
    if apart[place] then set(limit.name .. '.next', math.max(get(limit.name .. '.next'), at) + apart[place]) end
    bump(limit.name, SECONDS, at, 1)
  end
  if at > now then
    bump('waits', MINUTES, now, 1)
    bump('waited', MINUTES, now, at - now)
  end
  local probe = get('open until') > 0 and 1 or 0
  if probe == 1 then set('probe until', at + ask.lease) end
  return {'granted', math.ceil(at - now), general, count, probe, ''}
end

function commands.told()
  local name = ask.limit.name
  if get(name .. '.told until') <= now then
    -- What left before anybody knew the limit is charged to it as if it had left just now.
    local debt = spacing(ask.limit, ask.most) * total(name, SECONDS)
    set(name .. '.next', math.max(get(name .. '.next'), now + math.min(debt, ask.limit.window)))
  end
  set(name .. '.told', ask.most)
  set(name .. '.told until', now + 10 * minute)
end

function commands.hold()
  local name = ask.limit.name .. '.pause'
  set(name, math.max(get(name), now + ask.wait))
end

function commands.refused()
  commands.hold()
  bump('refusals', MINUTES, now, 1)
  local name = ask.limit.name
  local is_told = get(name .. '.told until') > now
  if ask.blind and not is_told and now - get(name .. '.learned at') > 2 * minute then
    set(name .. '.learned', math.max(BLIND_FLOOR, total(name, SECONDS)))
    set(name .. '.learned at', now)
  end
end

function commands.failed()
  if get('open until') > 0 then
    if ask.probe then
      set('open for', math.min(2 * get('open for'), 8 * ask.first))
      set('open until', now + get('open for'))
      redis.call('HSET', key, 'cause', ask.cause)
      redis.call('HDEL', key, 'probe until')
    end
    return
  end
  local fails = now - get('failed at') > 2 * minute and 1 or get('fails') + 1
  set('fails', fails)
  set('failed at', now)
  if fails >= ask.most then
    set('open for', ask.first)
    set('open until', now + ask.first)
    redis.call('HSET', key, 'cause', ask.cause)
  end
end

function commands.fine()
  closed_again()
end

local function calls()
  local found, all = {}, redis.call('HGETALL', key)
  for place = 1, #all, 2 do
    local outcome = string.match(all[place], '^calls:(.+)$')
    if outcome then found[outcome] = tonumber(all[place + 1]) end
  end
  return found
end

function commands.standing()
  local known, pause = most(ask.limit), get(ask.limit.name .. '.pause')
  return cjson.encode({
    used = total(ask.limit.name, SECONDS), limit = known < unlimited and known or 0,
    refusals = total('refusals', MINUTES), waits = total('waits', MINUTES), waited_ms = total('waited', MINUTES),
    calls = calls(), pause_ms = math.max(0, pause - now), fails = get('fails'), is_open = get('open until') > 0,
    open_ms = math.max(0, get('open until') - now), cause = redis.call('HGET', key, 'cause') or '',
    processes = redis.call('ZCOUNT', processes, now - 10 * minute, '+inf'),
  })
end

local answer = commands[ARGV[1]]()
redis.call('PEXPIRE', key, IDLE)
return answer
