-- KEYS: streams. Gives the id of the last record of each, trimmed or not.
local ends = {}
for i, stream in ipairs(KEYS) do
  ends[i] = state_of(stream).last
end
return ends
