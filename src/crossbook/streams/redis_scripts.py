"""What a Redis server does for a stream in one step, so that nothing can come between.

A stream's key holds each entry under the explicit id `{sequence}-0`. The server refuses an id that is
not above the last one, so it refuses duplicates; that no sequence is left out is up to these scripts.
"""

from typing import Final

_BOUNDS: Final = """
local function bounds(key)
  if redis.call('EXISTS', key) == 0 then return 1, 0, 0 end
  local function sequence(id) return tonumber(string.match(id, '^%d+')) end
  local info = redis.call('XINFO', 'STREAM', key)
  local first, last, length
  for i = 1, #info, 2 do
    local value = info[i + 1]
    if info[i] == 'length' then length = value end
    if info[i] == 'last-generated-id' then last = sequence(value) end
    if info[i] == 'first-entry' and value then first = sequence(value[1]) end
  end
  return first or last + 1, last, length
end
"""

BOUNDS: Final = (
    _BOUNDS
    + """
local first, last = bounds(KEYS[1])
return {first, last}
"""
)
"""The first sequence that can be read and the last one that was appended."""

APPEND: Final = (
    _BOUNDS
    + """
local _, last, length = bounds(KEYS[1])
local first_new, room, payloads = tonumber(ARGV[1]), tonumber(ARGV[2]) - length, #ARGV - 2
if first_new > last + 1 then return {'gap', last, 0} end
local appended = 0
for i = math.max(0, last + 1 - first_new), payloads - 1 do
  if appended >= room then return {'full', last + appended, appended} end
  redis.call('XADD', KEYS[1], string.format('%d-0', first_new + i), 'payload', ARGV[i + 3])
  appended = appended + 1
end
return {'ok', last + appended, appended}
"""
)
"""Append the payloads after the arguments: the first sequence, the greatest length.

Gives how it ended, the last sequence now, and how many entries are new."""

START: Final = (
    _BOUNDS
    + """
local _, last = bounds(KEYS[1])
if last > 0 then return 0 end
if tonumber(ARGV[1]) > 0 then
  redis.call('XADD', KEYS[1], string.format('%d-0', tonumber(ARGV[1])), 'payload', '')
  redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
end
return 1
"""
)
"""Let a stream that has not begun begin after a sequence: the server remembers the last id of an empty stream."""
